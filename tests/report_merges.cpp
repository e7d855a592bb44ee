// Merges in an experiment: tables, findings and charts, with invented numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "report_results.h"
#include "tools/report/experiment_page.h"
#include "tools/report/experiment_tables.h"
#include "tools/report/merge_charts.h"
#include "tools/report/merge_findings.h"
#include "tools/report/merge_tables.h"

using namespace understudy;
using namespace understudy::report;
using nlohmann::json;
using Cells = std::vector<std::string>;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

json by(json line, const std::string& fisher, const std::string& data, double damping) {
  line["fisher"] = fisher;
  line["fisher_data"] = data;
  line["damping"] = damping;
  return line;
}

// COIN is level, distillation rises and passes it at P = 1,000; three seeds.
Experiment invented() {
  std::vector<json> lines;
  for (const int seed : {1, 2, 3}) {
    const double up = seed - 2;
    lines.push_back(test::merge_line("average", 0, seed, 60 + up, 0.004));
    for (const int points : {100, 1000}) {
      const bool many = points == 1000;
      const double t = points / 1000.0;
      lines.push_back(test::merge_line("distill", points, seed, (many ? 92 : 75) + up, 40 * t));
      lines.push_back(test::merge_line("coin", points, seed, (many ? 88 : 86) + up, 2 * t));
      lines.push_back(
          by(test::merge_line("coin", points, seed, 80 + up, 2 * t), "gaussian", "union", 0.01));
      lines.push_back(test::merge_line("regmean", points, seed, 78 - up, 0.5 * t));
      lines.push_back(test::merge_line("coin+refit", points, seed, 95 + up, 2.5 * t));
    }
  }
  return test::read_merges(lines);
}

const Series& series_named(const Chart& chart, const std::string& name) {
  const auto at = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const Series& s) { return s.name == name; });
  REQUIRE_MESSAGE(at != chart.series.end(), name);
  return *at;
}

constexpr const char* nbsp = "\u00a0";

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("several coded models have a row of weights each") {
    json line = test::merge_line("coin", 100, 1, 80, 4);
    line["weights"] = {{0.7, 0.3}, {0.2, 0.8}};
    const Experiment experiment =
        test::read_merges({line, test::merge_line("coin", 100, 1, 85, 4)});
    const Table table = merge_score_table(merge_places(experiment)[0]);
    REQUIRE(table.sections[0].rows.size() == 2);
    CHECK(table.sections[0].rows[0].cells == Cells{"COIN", "Gaussian, own", "0.5, 0.5", "85.0"});
    CHECK(table.sections[0].rows[1].cells ==
          Cells{"COIN", "Gaussian, own", "0.7, 0.3; 0.2, 0.8", "80.0"});
  }

  TEST_CASE("weights that were searched for are one row over seeds") {
    json first = test::merge_line("coin", 100, 1, 80, 4),
         second = test::merge_line("coin", 100, 2, 82, 4);
    first["searched"] = second["searched"] = {{"tries", 9}};
    second["weights"] = {0.4, 0.6};
    const Table table = merge_score_table(merge_places(test::read_merges({first, second}))[0]);
    REQUIRE(table.sections[0].rows.size() == 1);
    CHECK(table.sections[0].rows[0].cells[2] == "best on validation images");
    CHECK(table.sections[0].rows[0].cells[3] == "81.0 ± 12.7");
  }

  TEST_CASE("a table for each place: methods down, P across, means over seeds") {
    const Experiment experiment = invented();
    const std::vector<MergePlace> places = merge_places(experiment);
    REQUIRE(places.size() == 1);
    CHECK(places[0].title == std::string("MNIST and Fashion-MNIST, Base-MLP, n") + nbsp + "=" +
                                 nbsp +
                                 "2, fine-tuned from one network for CIFAR-10 in grey, 28×28");
    const Table table = merge_score_table(places[0]);
    Cells titles;
    for (const Column& column : table.columns) titles.push_back(column.title);
    CHECK(titles ==
          Cells{"Method", "Fisher", "no\u00a0points", "P\u00a0=\u00a0100", "P\u00a0=\u00a01,000"});
    const std::vector<Row>& rows = table.sections[0].rows;
    REQUIRE(rows.size() == 6);
    // Seeds one apart: s = 1, so 4.303 / √3 = 2.48.
    CHECK(rows[0].cells == Cells{"plain average", "", "60.0 ± 2.5", "", ""});
    CHECK(rows[0].rival);
    CHECK(rows[1].cells == Cells{"RegMean", "", "", "78.0 ± 2.5", "78.0 ± 2.5"});
    CHECK(rows[2].cells == Cells{"COIN", "Gaussian, own", "", "86.0 ± 2.5", "88.0 ± 2.5"});
    CHECK(rows[3].cells ==
          Cells{"COIN", "Gaussian, union, damping 0.01", "", "80.0 ± 2.5", "80.0 ± 2.5"});
    CHECK(rows[4].cells[0] == "distillation");
    CHECK(rows[5].cells[0] == "COIN, then refit of the last layer");
    CHECK(contains(table.notes[0], "Normalised decoding accuracy = 100 · accuracy(reconstructed"));
    const Table time = merge_time_table(places[0]);
    CHECK(time.sections[0].rows[2].cells ==
          Cells{"COIN", "Gaussian, own", "", "0.200 ± 0.000", "2.00 ± 0.00"});
  }

  TEST_CASE("places differ in models, start and size") {
    std::vector<json> lines(4, test::merge_line("coin", 100, 1, 80, 4));
    lines[1]["initialisation"] = "independent";
    lines[1]["start"] = nullptr;
    lines[2].update({{"tasks", {"mnist-rgb32", "fashion-mnist-rgb32", "mnist-rotated-rgb32"}},
                     {"models", 3},
                     {"base", "resnet18"},
                     {"reduced", "width 16"},
                     {"weights", json::array()},
                     {"base_accuracies", nullptr},
                     {"decoded_accuracies", nullptr}});
    lines[3]["base_model"] = "mlp 784-10-10";
    Cells titles;
    for (const MergePlace& place : merge_places(test::read_merges(lines))) {
      titles.push_back(place.title);
      std::size_t at = 0;
      while ((at = titles.back().find(nbsp, at)) != std::string::npos)
        titles.back().replace(at, 2, " ");
    }
    CHECK(titles == Cells{"MNIST and Fashion-MNIST, Base-MLP, n = 2, fine-tuned from one network "
                          "for CIFAR-10 in grey, 28×28, mlp 784-10-10",
                          "MNIST and Fashion-MNIST, Base-MLP, n = 2, fine-tuned from one network "
                          "for CIFAR-10 in grey, 28×28, mlp 784-400-400-10",
                          "MNIST and Fashion-MNIST, Base-MLP, n = 2, from independent starts",
                          "MNIST, Fashion-MNIST and MNIST turned, ResNet-18 (width 16), n = 3, "
                          "fine-tuned from one network for CIFAR-10 in grey, 28×28"});
  }

  TEST_CASE("cost stands beside accuracy, at the P that most rows have") {
    const Experiment experiment = invented();
    const MergePlace place = merge_places(experiment)[0];
    CHECK(compared_points(place) == 1000);
    const Table table = merge_cost_table(place);
    CHECK(contains(table.title, "1,000"));
    const std::vector<Row>& rows = table.sections[0].rows;
    REQUIRE(rows.size() == 7);
    CHECK(rows[0].cells == Cells{"the models themselves", "", "100", "100", "98.00 ± 0.00",
                                 "88.00 ± 0.00", "", "", "", ""});
    CHECK(rows[3].cells == Cells{"COIN", "Gaussian, own", "88.0 ± 2.5", "80.00 ± 2.26",
                                 "86.24 ± 2.43", "77.44 ± 2.19", "0.250 ± 0.000", "2.00 ± 0.00",
                                 "12.5 ± 0.0", "points, gradients"});
    CHECK(rows[1].cells.back() == "nothing");
  }

  TEST_CASE("a method of another version has a row, and nothing is said of its needs") {
    const Experiment experiment = test::read_merges({test::merge_line("magic", 100, 1, 99, 0.01)});
    const Row row = merge_cost_table(merge_places(experiment)[0]).sections[0].rows[1];
    CHECK(row.cells.front() == "magic");
    CHECK(row.cells.back() == "");
  }

  TEST_CASE("the crossing with distillation, in P and in seconds") {
    const Experiment experiment = invented();
    const MergePlace place = merge_places(experiment)[0];
    const auto crossing = crossing_in_points(place);
    REQUIRE(crossing.has_value());
    CHECK(crossing->coin->any().points == 1000);
    CHECK_FALSE(crossing->at_once);
    CHECK_FALSE(crossing->below_again.has_value());
    const auto in_time = crossing_in_seconds(place);
    REQUIRE(in_time.has_value());
    CHECK(in_time->distill->seconds().mean == doctest::Approx(40));
    CHECK(in_time->coin->any().points == 1000);
    std::string words;
    for (const std::string& finding : merge_findings(place)) words += finding + "\n";
    for (std::size_t at = 0; (at = words.find(nbsp, at)) != words.npos;) words.replace(at, 2, " ");
    CHECK(
        words ==
        "At P = 1,000 COIN is above plain average, 88.0 % against 60.0 % (28.0 ± 0.0 points); it "
        "is above RegMean, 88.0 % against 78.0 % (10.0 ± 5.0 points).\n"
        "Best at P = 1,000: COIN, then refit of the last layer. It has 95.0 % against 88.0 % of "
        "COIN (7.0 ± 0.0 points) and takes 2.5 s against 2.0 s.\n"
        "Distillation passes COIN at P = 1,000: 92.0 % against 88.0 % (4.0 ± 0.0 points). It takes "
        "40.0 s there, and is above COIN after epoch 2, 40.0 s; COIN takes 2.0 s.\n"
        "With less than 40.0 s COIN is the better of the two. Distillation at P = 1,000 takes so "
        "long and has 92.0 %; the best of COIN in that time, at P = 1,000 in 2.0 s, has 88.0 %.\n");
  }

  TEST_CASE("where there is no crossing, or it is at once or undone, the words say so") {
    const auto words = [](const std::vector<double>& coin, const std::vector<double>& distill) {
      std::vector<json> lines;
      int points = 100;
      for (std::size_t i = 0; i < coin.size(); ++i, points *= 2) {
        lines.push_back(test::merge_line("coin", points, 1, coin[i], 1));
        lines.push_back(test::merge_line("distill", points, 1, distill[i], 10));
      }
      std::string all;
      for (const std::string& finding : merge_findings(merge_places(test::read_merges(lines))[0]))
        all += finding + "\n";
      for (std::size_t at = 0; (at = all.find(nbsp, at)) != all.npos;) all.replace(at, 2, " ");
      return all;
    };
    CHECK(contains(words({80, 81}, {70, 75}),
                   "Distillation is not above COIN at any P that both were run at; at P = 200 it "
                   "has 75.0 % against 81.0 % (−6.0 points)"));
    CHECK(contains(words({80, 81}, {85, 90}), "above COIN already at P = 100, the smallest"));
    CHECK(contains(words({80, 81, 90}, {70, 85, 86}), "At P = 400 it is below COIN again."));
    CHECK_FALSE(contains(words({80, 81}, {70, 75}), "With less than"));
    // An equal mean is not above.
    CHECK(contains(words({80}, {80}), "is not above COIN"));
    CHECK(merge_findings(
              merge_places(test::read_merges({test::merge_line("average", 0, 1, 60, 1)}))[0])
              .empty());
  }

  TEST_CASE("distillation that is faster than every COIN is said to be") {
    const Experiment experiment = test::read_merges(
        {test::merge_line("coin", 100, 1, 80, 5), test::merge_line("distill", 100, 1, 70, 2)});
    const auto crossing = crossing_in_seconds(merge_places(experiment)[0]);
    REQUIRE(crossing.has_value());
    CHECK(crossing->coin == nullptr);
  }

  TEST_CASE("charts over P, over seconds and over epochs") {
    const Experiment experiment = invented();
    const MergePlace place = merge_places(experiment)[0];
    const Chart points = chart_over_points(place);
    CHECK(points.x_scale == Scale::logarithmic);
    CHECK(points.series.size() == 5);
    CHECK(series_named(points, "COIN").x == std::vector<double>{100, 1000});
    CHECK(series_named(points, "COIN").y[1] == doctest::Approx(88));
    CHECK(std::abs(series_named(points, "COIN").error[0] - 2.484) <= 1e-3);
    const Series& average = series_named(points, "plain average");
    CHECK(average.dashed);
    CHECK(average.y[1] == doctest::Approx(60));

    const Chart seconds = chart_over_seconds(place);
    const Series& distill = series_named(seconds, "distillation");
    CHECK(distill.x[0] == doctest::Approx(4));
    CHECK(distill.labels == Cells{"100", "1,000"});
    CHECK_FALSE(series_named(seconds, "plain average").line);

    const std::vector<Chart> curves = distillation_charts(place);
    REQUIRE(curves.size() == 1);
    REQUIRE(curves[0].series.size() == 4);
    CHECK(curves[0].series[0].name == "P\u00a0=\u00a0100: test");
    CHECK(curves[0].series[0].band);
    CHECK(curves[0].series[0].x == std::vector<double>{1, 2});
    CHECK(curves[0].series[0].y[0] == doctest::Approx(65));
    CHECK(curves[0].series[1].y[1] == doctest::Approx(100));
    CHECK(contains(svg(curves[0]), R"(<path class="band s0")"));

    const Chart choices = chart_of_choices(place);
    REQUIRE(choices.series.size() == 2);
    CHECK(choices.series[1].name == "Gaussian, union, damping 0.01");
  }

  TEST_CASE("of the curves of many P the smallest and the largest are drawn") {
    std::vector<json> lines;
    for (const int points : {100, 200, 400})
      lines.push_back(test::merge_line("distill", points, 1, 80, 4));
    lines.push_back(by(lines.front(), "gaussian", "union", 0));
    const std::vector<Chart> curves =
        distillation_charts(merge_places(test::read_merges(lines))[0]);
    REQUIRE(curves.size() == 1);
    REQUIRE(curves[0].series.size() == 4);
    CHECK(curves[0].series[2].name == "P\u00a0=\u00a0400: test");
  }

  TEST_CASE("the merges' commands are listed once each") {
    const Table table = merge_origin_table(invented());
    REQUIRE(table.sections[0].rows.size() == 3);
    const Cells& first = table.sections[0].rows[0].cells;
    CHECK(first[1] == "1");
    CHECK(first[2] == "11");
    CHECK(first[6] == "merge_models --method all --seed 1");
    CHECK(merge_origin_table({}).empty());
  }

  TEST_CASE("what a paper says of merges stands in words, and its figures in a list") {
    json head = test::experiment_line(), figure = test::published_line("", 0.91);
    head["notes"] = {"COIN is nearly flat in P <1>"};
    figure.update({{"base", "mlp"}, {"metric", "normalised_decoding_accuracy"}, {"code", "coin"}});
    figure.erase("k");
    figure.erase("r");
    const Experiment experiment =
        test::read({head, figure, test::merge_line("coin", 100, 1, 85, 1)})[0];
    CHECK(contains(experiment_section(experiment), "<dd>COIN is nearly flat in P &lt;1&gt;</dd>"));
    CHECK(contains(experiment_summary(experiment), "COIN is nearly flat in P <1>\n"));
    CHECK(published_table(experiment).sections[0].rows[0].cells ==
          Cells{"COIN", "MNIST, Base-MLP", "", "", "Normalised decoding accuracy", "91.00", ""});
    CHECK(experiment_tables(experiment).empty());
    CHECK(cost_table(experiment).empty());
  }

  TEST_CASE("page and summary have the merges, escaped") {
    json line = test::merge_line("coin+<b>", 100, 1, 80, 4);
    line["start"] = "<i>";
    line["fisher"] = "<u>\x1b[31m";
    const Experiment experiment = test::read_merges({line});
    const std::string section = experiment_section(experiment);
    for (const char* tag : {"<b>", "<i>", "<u>", "\x1b"})
      CHECK_FALSE_MESSAGE(contains(section, tag), tag);
    CHECK_FALSE(contains(section, "No result yet"));
    CHECK_FALSE(contains(section, "settings have a result"));
    CHECK_FALSE(contains(experiment_summary(experiment), "\x1b"));
    const std::string text = experiment_summary(invented());
    CHECK(contains(text, "88.0 ± 2.5"));
    CHECK(contains(text, "Distillation passes COIN"));
    CHECK(contains(experiment_section(invented()), "<details class=\"facts\"><summary>The merges"));
  }
}
