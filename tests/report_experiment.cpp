// Tables, charts and page of an experiment, with invented numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "report_fixtures.h"
#include "report_results.h"
#include "temporary_folder.h"
#include "tools/report/experiment_charts.h"
#include "tools/report/experiment_page.h"
#include "tools/report/experiment_tables.h"
#include "tools/report/page.h"

using namespace understudy;
using namespace understudy::report;
using Cells = std::vector<std::string>;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

bool notes_contain(const Table& table, const std::string& part) {
  return std::any_of(table.notes.begin(), table.notes.end(),
                     [&](const std::string& note) { return contains(note, part); });
}

Cells titles(const Table& table) {
  Cells all;
  for (const Column& column : table.columns) all.push_back(column.title + "|" + column.unit);
  return all;
}

Experiment paper() {
  return test::read({test::experiment_line(), test::published_line("test_recovery_accuracy", 0.9),
                     test::published_line("test_accuracy_10_percent_unavailable", 0.95, 5),
                     test::result_line("mse", 2, 1, 0.97), test::result_line("mse", 2, 2, 0.99),
                     test::result_line("mse", 2, 3, 0.98), test::result_line("kl", 2, 1, 0.96)})[0];
}

Experiment comparison() {
  std::vector<nlohmann::json> lines = {test::experiment_line()};
  for (const int k : {2, 4})
    for (const int r : {1, 2}) {
      lines.push_back(test::code_line("mean", k, r, 0.9 - 0.02 * k + 0.01 * r));
      lines.push_back(test::code_line("berrut", k, r, 0.88 - 0.01 * k + 0.01 * r));
    }
  nlohmann::json none = test::code_line("none", 2, 0, 0.11);
  nlohmann::json copies = test::code_line("replication", 2, 2, 1);
  copies["values"]["extra_machines_percent"] = 100;
  none["values"]["encode_multiply_adds"] = copies["values"]["encode_multiply_adds"] = 0;
  nlohmann::json figure = test::published_line("overall_accuracy", 0.7, 4);
  figure["code"] = "berrut";
  figure["base"] = "mlp";
  figure["note"] = "another model";
  lines.insert(lines.end(), {none, copies, figure});
  return test::read(lines)[0];
}

const Series& series_named(const Chart& chart, const std::string& name) {
  const auto at = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const Series& s) { return s.name == name; });
  REQUIRE_MESSAGE(at != chart.series.end(), name);
  return *at;
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("the paper's layout: encoder and loss across, base model and k down, blanks blank") {
    const Experiment experiment = paper();
    REQUIRE(in_paper_layout(experiment));
    const std::vector<Table> tables = experiment_tables(experiment);
    REQUIRE(tables.size() == 3);
    const Table& recovery = tables[0];
    CHECK(recovery.title == "Recovery-accuracy, %");
    CHECK(titles(recovery) == Cells{"Base model|", "k|", "MLPEncoder|MSE", "MLPEncoder|KL",
                                    "MLPEncoder|cross-entropy", "ConvEncoder|MSE", "ConvEncoder|KL",
                                    "ConvEncoder|cross-entropy", "best learned|published"});
    REQUIRE(recovery.sections.size() == 1);
    CHECK(recovery.sections[0].title == "MNIST");
    const std::vector<Row>& rows = recovery.sections[0].rows;
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].cells == Cells{"Base-MLP", "2", "98.00 ± 2.48", "96.00", "", "", "", "", ""});
    CHECK(rows[1].cells == Cells{"Base-MLP", "5", "", "", "", "", "", "", ""});
    CHECK(rows[2].cells == Cells{"ResNet-18", "2", "", "", "", "", "", "", "90.00"});
    CHECK(rows[0].marks == Cells{"", "", "a", "a", "", "", "", "", ""});
    CHECK(recovery.notes.front() == "a: 60 of 500 epochs");
    CHECK(notes_contain(recovery, "A figure without it is of one seed"));
  }

  TEST_CASE("published figures are in marked columns and in no other") {
    for (const Table& table : experiment_tables(paper()))
      for (const Column& column : table.columns)
        CHECK(column.published == (column.unit == "published"));
    const std::string out = html(experiment_tables(paper())[0]);
    CHECK(contains(out, R"(<td class="n published">90.00</td>)"));
    CHECK(contains(out, R"(<td class="n">96.00<sup>a</sup></td>)"));
  }

  TEST_CASE("the other tables of the paper's layout") {
    const std::vector<Table> tables = experiment_tables(paper());
    CHECK(tables[1].title == "Overall-accuracy of reconstructed answers, %");
    CHECK(tables[1].sections[0].rows[0].cells ==
          Cells{"Base-MLP", "2", "98.00", "11.35", "97.00 ± 2.48", "95.00", "", "", "", ""});
    CHECK(tables[2].title == "Accuracy with 10 % of the answers reconstructed, %");
    CHECK(tables[2].sections[0].rows.back().cells ==
          Cells{"ResNet-18", "5", "", "", "", "", "", "", "95.00"});
  }

  TEST_CASE("one seed each is said; what did not learn and what was cut is marked") {
    nlohmann::json failed = test::result_line("mse", 2, 4, 0.1);
    failed["values"]["learned"] = false;
    failed["reduced"] = "width 16, 6 of 500 epochs";
    const Table table = experiment_tables(test::read({test::experiment_line(), failed})[0])[0];
    CHECK(table.notes == Cells{"a: width 16, 6 of 500 epochs, did not learn from seed 4",
                               "Every figure of ours is of one seed, so it has no interval."});
  }

  TEST_CASE("of two cuts of one cell the smaller is shown, and the other is not lost") {
    nlohmann::json less = test::result_line("mse", 2, 1, 0.5);
    less["epochs"] = 6;
    less["command"] = "train_code --epochs 6";
    const Experiment experiment =
        test::read({test::experiment_line(), less, test::result_line("mse", 2, 1, 0.97)})[0];
    const Table table = experiment_tables(experiment)[0];
    CHECK(table.sections[0].rows[0].cells[2] == "97.00");
    CHECK(notes_contain(table, "the least cut is shown"));
    CHECK(origin_table(experiment).sections[0].rows.size() == 2);
  }

  TEST_CASE("channels have rows of their own where they differ") {
    nlohmann::json other = test::result_line("mse", 2, 1, 0.9);
    other["channels"] = "interleaved";
    other["setting"] = "other";
    const Experiment experiment =
        test::read({test::experiment_line(), test::result_line("mse", 2, 1, 0.97), other})[0];
    const Table table = experiment_tables(experiment)[0];
    REQUIRE(table.sections[0].rows.size() == 2);
    CHECK(table.sections[0].rows[0].cells == Cells{"Base-MLP, aligned", "2", "97.00"});
    CHECK(table.sections[0].rows[1].cells == Cells{"Base-MLP, interleaved", "2", "90.00"});
  }

  TEST_CASE("codes compared: a row for each, a column for each k and r") {
    const Experiment experiment = comparison();
    REQUIRE_FALSE(in_paper_layout(experiment));
    const std::vector<Table> tables = experiment_tables(experiment);
    REQUIRE(tables.size() == 2);
    const Table& overall = tables[1];
    CHECK(titles(overall) == Cells{"Code|", "k\u00a0=\u00a02|r\u00a0=\u00a01",
                                   "k\u00a0=\u00a04|r\u00a0=\u00a01", "k\u00a0=\u00a04|published",
                                   "k\u00a0=\u00a02|r\u00a0=\u00a02",
                                   "k\u00a0=\u00a04|r\u00a0=\u00a02"});
    const std::vector<Row>& rows = overall.sections[0].rows;
    REQUIRE(rows.size() == 4);
    CHECK(overall.sections[0].title == "MNIST, Base-MLP");
    // No code is the same for every r; two copies of everything, r = k, survive one loss.
    CHECK(rows[0].cells == Cells{"no code", "10.00", "", "", "10.00", ""});
    CHECK(rows[1].cells == Cells{"replication", "99.00", "", "", "", ""});
    CHECK(rows[2].cells == Cells{"mean", "86.00", "82.00", "", "87.00", "83.00"});
    CHECK(rows[3].cells == Cells{"Berrut", "86.00", "84.00", "70.00", "87.00", "85.00"});
    CHECK(rows[0].rival);
    CHECK_FALSE(rows[2].rival);
    CHECK(notes_contain(overall, "another model"));
  }

  TEST_CASE("whole groups have a table where codes are compared and it is known") {
    nlohmann::json line = test::code_line("berrut", 2, 1, 0.9);
    line["values"]["test_group_accuracy"] = 0.93;
    const std::vector<Table> tables =
        experiment_tables(test::read({test::experiment_line(), line})[0]);
    REQUIRE(tables.size() == 3);
    CHECK(tables[2].title == "Accuracy of all answers of a group, one machine late, %");
    CHECK(tables[2].sections[0].rows[0].cells == Cells{"Berrut", "93.00"});
  }

  TEST_CASE("a published figure of a parity model stands in the row of ours") {
    nlohmann::json line = test::code_line("parity-sum", 2, 1, 0.9);
    line["encoder"] = "mlp";  // as train_code records it, without a meaning here
    line["loss"] = "mse";
    nlohmann::json figure = test::published_line("overall_accuracy", 0.683);
    figure["base"] = "mlp";
    figure["code"] = "parity-sum";
    const Table table =
        experiment_tables(test::read({test::experiment_line(), line, figure})[0])[1];
    REQUIRE(table.sections[0].rows.size() == 1);
    CHECK(table.sections[0].rows[0].cells == Cells{"parity model, sum", "89.00", "68.30"});
  }

  TEST_CASE("many k make a table for each r, without rows that would be empty") {
    std::vector<nlohmann::json> lines = {test::experiment_line()};
    for (int k = 2; k <= 8; ++k) {
      lines.push_back(test::code_line("mean", k, 1, 0.9));
      lines.push_back(test::code_line("mean", k, 2, 0.9));
      lines.push_back(test::code_line("spline", k, 1, 0.9));
    }
    const std::vector<Table> tables = experiment_tables(test::read(lines)[0]);
    REQUIRE(tables.size() == 4);
    CHECK(tables[0].title == "Recovery-accuracy, %, r\u00a0=\u00a01");
    CHECK(tables[0].sections[0].rows.size() == 2);
    CHECK(tables[1].sections[0].rows.size() == 1);
  }

  TEST_CASE("the cost table has everything about a code on one line") {
    const Table table = cost_table(comparison());
    const std::vector<Row>& rows = table.sections[0].rows;
    REQUIRE(rows.size() == 10);
    CHECK(rows[1].cells[0] == "replication");
    CHECK(rows[2].cells == Cells{"mean", "2", "1", "98.00", "86.00", "87.00", "", "", "", "", "9.5",
                                 "50", "38.0", "4.21", "2"});
    CHECK(cost_table(paper()).empty());
  }

  TEST_CASE("figures that fit no table are listed; a base model's stands beside ours") {
    nlohmann::json difference = test::published_line("test_overall_accuracy_below_base", 0.064);
    difference["dataset"] = "";
    difference["code"] = "parity-sum";
    const Table listed = published_table(test::read({test::experiment_line(), difference})[0]);
    REQUIRE(listed.sections.size() == 1);
    CHECK(listed.sections[0].rows[0].cells[0] == "parity model, sum");
    CHECK(listed.sections[0].rows[0].cells[5] == "6.40");
    CHECK(published_table(paper()).empty());

    nlohmann::json model = test::published_line("test_accuracy", 0.9793);
    model.erase("k");
    model.erase("r");
    model["base"] = "mlp";
    model["code"] = "base model";
    const Experiment experiment =
        test::read({test::experiment_line(), model, test::result_line("mse", 2, 1, 0.97)})[0];
    const std::vector<Table> tables = experiment_tables(experiment);
    REQUIRE(tables.size() == 2);
    CHECK(tables[1].columns[3].published);
    CHECK(tables[1].sections[0].rows[0].cells[3] == "97.93");
    CHECK(published_table(experiment).empty());
  }

  TEST_CASE("charts over k, redundancy, cost and epochs") {
    const Experiment experiment = comparison();
    const Place place = places_of(experiment)[0];
    const Chart over_k = chart_over_k(experiment, place, "overall_accuracy");
    CHECK(series_named(over_k, "mean").x == std::vector<double>{2, 4});
    CHECK(series_named(over_k, "mean").y[1] == doctest::Approx(82));
    CHECK(series_named(over_k, "published: Berrut").mark == Mark::diamond);
    CHECK(series_named(over_k, "published: Berrut").y == std::vector<double>{70});
    CHECK(over_k.series.size() == 3);

    const Chart redundancy = chart_over_redundancy(experiment, place);
    CHECK(series_named(redundancy, "Berrut, r = 1").x == std::vector<double>{25, 50});
    CHECK(series_named(redundancy, "Berrut, r = 2").x == std::vector<double>{50, 100});

    const Chart cost = chart_of_cost(experiment, place);
    CHECK(series_named(cost, "mean").x == std::vector<double>{2, 2});
    CHECK(series_named(cost, "mean").labels == Cells{"k = 2", "k = 4"});
    CHECK_FALSE(series_named(cost, "mean").line);
    CHECK(contains(svg(cost), "logarithmic scale"));

    const Experiment learned = paper();
    const std::vector<Chart> curves = learning_curves(learned, places_of(learned)[0]);
    REQUIRE(curves.size() == 1);
    CHECK(series_named(curves[0], "MLPEncoder, MSE").x == std::vector<double>{1, 2});
    CHECK(series_named(curves[0], "MLPEncoder, MSE").y[0] == doctest::Approx(49));
    CHECK(chart_over_k(learned, places_of(learned)[0], "recovery_accuracy").series.empty());
  }

  TEST_CASE("calibration: bins without answers are left out, seeds are put together") {
    nlohmann::json second = test::code_line("berrut", 2, 1, 0.9);
    second["seed"] = 2;
    second["values"]["calibration"][1] = {{"confidence", 0.5}, {"accuracy", 0.2}, {"count", 100}};
    const Experiment experiment =
        test::read({test::experiment_line(), test::code_line("berrut", 2, 1, 0.9), second})[0];
    const Chart chart = reliability_chart(places_of(experiment)[0]);
    REQUIRE(chart.series.size() == 2);
    const Series& berrut = chart.series[0];
    CHECK(berrut.name == "Berrut, k = 2 (calibration error 3.1 %)");
    REQUIRE(berrut.x.size() == 2);
    // (300 · 0.45 + 100 · 0.5) / 400 and (300 · 0.5 + 100 · 0.2) / 400
    CHECK(berrut.x[0] == doctest::Approx(46.25));
    CHECK(berrut.y[0] == doctest::Approx(42.5));
    CHECK(chart.series[1].name == "as right as confident");
    const Chart declining = declining_chart(places_of(experiment)[0]);
    REQUIRE(declining.series.size() == 1);
    CHECK(declining.series[0].x == std::vector<double>{0, 30});
    CHECK(declining.series[0].y[1] == doctest::Approx(90));
    CHECK(reliability_chart(places_of(paper())[0]).series.empty());
  }

  TEST_CASE("the page has the experiment, its command and what was cut, all of it escaped") {
    nlohmann::json head = test::experiment_line();
    head["title"] = "<script>alert(1)</script>";
    head["cut"] = {"<b>cut</b>"};
    nlohmann::json line = test::result_line("<i>", 2, 1, 0.9);
    line["reduced"] = "<u>";
    const std::string out = page({}, test::read({head, line}));
    for (const char* tag : {"<script", "<b>", "<i>", "<u>"})
      CHECK_FALSE_MESSAGE(contains(out, tag), tag);
    CHECK(contains(out, "reproduce invented"));
    CHECK(contains(out, "1 of 12 settings have a result"));
    CHECK(contains(out, "train_code --loss &lt;i&gt;"));
    CHECK(contains(out, "1 min 30 s"));
    const std::string text = summary({}, {paper(), comparison()});
    CHECK(contains(text, "98.00 ± 2.48 (a)"));
    CHECK(contains(text, "What each code gives and costs"));
  }

  TEST_CASE("an experiment without a result is all blanks, and says so") {
    const Experiment experiment =
        test::read({test::experiment_line(), test::published_line("recovery_accuracy", 0.9)})[0];
    CHECK(contains(experiment_section(experiment), "No result yet"));
    CHECK(experiment_tables(experiment)[0].sections[0].rows[0].cells.back() == "90.00");
    CHECK(contains(page({}, test::read({test::experiment_line()})), "An invented experiment"));
  }

  TEST_CASE("a compare_codes run is an experiment of its own") {
    const TemporaryFolder root;
    nlohmann::json head = test::header("compare_codes");
    head["dataset"]["base"] = {{"model", "mlp 784-200-100-10"}};
    test::write_text(root.path() / "header.json", head.dump());
    nlohmann::json result = {{"rows", nlohmann::json::array()}};
    for (const char* code : {"mean", "berrut"}) {
      nlohmann::json row = test::code_line(code, 2, 1, 0.9)["values"];
      row.update({{"code", code}, {"k", 2}, {"r", 1}});
      result["rows"].push_back(row);
    }
    result["rows"].push_back(result["rows"][0]);
    result["rows"][2].update({{"code", "learned (mlp)"}, {"trained", "mine"}});
    test::write_text(root.path() / "result.json", result.dump());
    const auto experiment = compared_codes(read_run(root.path()));
    REQUIRE(experiment.has_value());
    const Table table = cost_table(*experiment);
    REQUIRE(table.sections.size() == 1);
    CHECK(table.sections[0].title == "MNIST, Base-MLP");
    REQUIRE(table.sections[0].rows.size() == 3);
    CHECK(table.sections[0].rows[2].cells[0] == "learned (mlp), mine");
    CHECK(contains(page({read_run(root.path())}), "are confident reconstructions right?"));

    result["rows"][1].erase("k");
    test::write_text(root.path() / "result.json", result.dump());
    CHECK_THROWS_WITH_AS(page({read_run(root.path())}),
                         ((root.path() / "result.json").string() +
                          ": rows[1]: \"k\": expected a whole number from 1 to 1000, found nothing")
                             .c_str(),
                         Error);
    test::write_text(root.path() / "result.json", "{}");
    CHECK_THROWS_AS(page({read_run(root.path())}), Error);
  }
}
