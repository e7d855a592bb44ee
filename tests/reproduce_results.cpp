// results.jsonl, gathered from made-up run folders.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "error_text.h"
#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/results.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;
using nlohmann::json;

namespace {

constexpr const char* code_folder = "code-mnist-mlp-k2-r1-mlp-mse-seed1";

Experiment small_experiment() {
  Experiment experiment;
  experiment.name = "small";
  experiment.title = "A small one";
  CodeSetting setting = small_setting();
  setting.epochs_published = 500;
  experiment.settings = {setting};
  return experiment;
}

CodeSetting& code_in(Experiment& experiment) {
  return std::get<CodeSetting>(experiment.settings[0]);
}

json code_result() {
  return {{"program", "train_code"},
          {"settings", {{"k", 2}}},
          {"code", "learned (mlp) over mlp 784-200-100-10"},
          {"k", 2},
          {"test_recovery_accuracy", 0.98 + 1e-12},
          {"encode_us", 12.3456789},
          {"base_multiply_adds", 178000000000}};
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("a finished code is one line, with what it took and what it is less than published") {
    const TemporaryFolder out;
    Experiment experiment = small_experiment();
    const auto lines = [&] { return result_lines(experiment, experiment.settings[0], out.path()); };
    CHECK(lines().empty());
    make_run(out.path() / code_folder, "train_code", 10, 3);
    CHECK(lines().empty());
    make_run(out.path() / code_folder, "train_code", 10, 10, {}, code_result());
    make_run(out.path() / "base-mnist-mlp-seed1", "train_classifier", 8, 8, {},
             {{"model", "mlp 784-200-100-10"}});
    REQUIRE(lines().size() == 1);
    const json line = lines()[0];
    CHECK(line.at("kind") == "result");
    CHECK(line.at("experiment") == "small");
    CHECK(line.at("setting") == "mnist mlp k=2 r=1 learned mlp mse aligned");
    CHECK(line.at("base") == "mlp");
    CHECK(line.at("base_model") == "mlp 784-200-100-10");
    CHECK(line.at("reduced") == "10 of 500 epochs");
    CHECK(line.at("epochs") == 10);
    CHECK(line.at("epochs_published") == 500);
    CHECK(line.at("commit") == "0123456789ab");
    CHECK(line.at("instruction_set") == "avx2");
    CHECK(line.at("threads") == 1);
    CHECK(line.at("seconds") == 21);
    CHECK(line.at("values") == json({{"test_recovery_accuracy", 0.98},
                                     {"encode_us", 12.3457},
                                     {"base_multiply_adds", 178000000000}}));
    CHECK(line.at("curve").size() == 10);
    CHECK(line.at("curve")[9] == json({{"epoch", 10}, {"train_loss", 0.1}}));
    CHECK(line.at("command") ==
          "train_code --dataset mnist --k 2 --encoder mlp --base base-mnist-mlp-seed1 --loss mse "
          "--epochs 10 --seed 1 --out code-mnist-mlp-k2-r1-mlp-mse-seed1");
    CHECK(line.dump().find("/somewhere") == std::string::npos);

    // What the plan would have it has no say: the folder's epochs are reported.
    code_in(experiment).epochs = 500;
    CHECK(lines().at(0).at("epochs") == 10);
    CHECK(lines().at(0).at("command").get<std::string>().find("--epochs 10") != std::string::npos);
    code_in(experiment).epochs_published = 0;
    CHECK(lines().at(0).at("reduced") == "");
  }

  TEST_CASE("what follows from an older run's numbers is added") {
    const TemporaryFolder out;
    const Experiment experiment = small_experiment();
    json result = code_result();
    result["test_accuracy"] = 0.98;
    result["test_overall_accuracy"] = 0.95;
    make_run(out.path() / code_folder, "train_code", 10, 10, {}, result);
    const auto group_accuracy = [&] {
      return result_lines(experiment, experiment.settings[0], out.path())
          .at(0)
          .at("values")
          .at("test_group_accuracy")
          .get<double>();
    };
    CHECK(group_accuracy() == doctest::Approx(0.97));  // one answer of three is rebuilt
    result["test_group_accuracy"] = 0.5;
    make_run(out.path() / code_folder, "train_code", 10, 10, {}, result);
    CHECK(group_accuracy() == 0.5);
    result.erase("test_group_accuracy");
    result["test_accuracy"] = nullptr;  // how a number that is not finite is written
    make_run(out.path() / code_folder, "train_code", 10, 10, {}, result);
    const json line = result_lines(experiment, experiment.settings[0], out.path()).at(0);
    CHECK_FALSE(line.at("values").contains("test_group_accuracy"));
  }

  TEST_CASE("width and sample are reductions, too") {
    const TemporaryFolder out;
    Experiment experiment = small_experiment();
    code_in(experiment).base.model = "resnet18";
    code_in(experiment).base.width = 16;
    const auto folder = out.path() / "code-mnist-resnet18w16-k2-r1-mlp-mse-seed1";
    make_run(folder, "train_code", 10, 10, {}, code_result());
    json header = json::parse(std::ifstream(folder / "header.json"));
    header["dataset"] = {{"sample", true}, {"train", 6000}, {"base", {{"model", "resnet18 1-16"}}}};
    write_text(folder / "header.json", header.dump());
    const json line = result_lines(experiment, experiment.settings[0], out.path()).at(0);
    CHECK(line.at("reduced") == "width 16, 6000 training images, 10 of 500 epochs");
    CHECK(line.at("base") == "resnet18");
    CHECK(line.at("base_model") == "resnet18 1-16");
  }

  TEST_CASE("a comparison is a line for each row, without a curve") {
    const TemporaryFolder out;
    Experiment experiment = small_experiment();
    CodeSetting& setting = code_in(experiment);
    setting.codes = {"none", "berrut"};
    setting.ks = {2, 3};
    setting.rs = {1};
    const json rows = {{{"code", "none"}, {"k", 2}, {"r", 0}, {"test_recovery_accuracy", 0.1}},
                       {{"code", "berrut"}, {"k", 3}, {"r", 1}, {"test_recovery_accuracy", 0.6}}};
    make_run(out.path() / "codes-mnist-mlp-seed1", "compare_codes", 0, 0, {}, {{"rows", rows}});
    const auto lines = result_lines(experiment, setting, out.path());
    REQUIRE(lines.size() == 2);
    CHECK(lines[1].at("setting") == "mnist mlp k=3 r=1 berrut");
    CHECK(lines[1].at("code") == "berrut");
    CHECK(lines[1].at("k") == 3);
    CHECK(lines[1].at("values") == json({{"test_recovery_accuracy", 0.6}}));
    CHECK_FALSE(lines[1].contains("curve"));
    CHECK(lines[0].at("r") == 0);

    const auto error_for = [&](const json& result) {
      make_run(out.path() / "codes-mnist-mlp-seed1", "compare_codes", 0, 0, {}, result);
      return error_text([&] { result_lines(experiment, setting, out.path()); });
    };
    const auto found = [](const std::string& text, const char* part) {
      return text.find(part) != std::string::npos;
    };
    CHECK(found(error_for({{"rows", {1, 2}}}), "result.json: rows[0]: expected a JSON object"));
    CHECK(found(error_for({{"rows", 3}}), "result.json: rows: expected a list, found 3"));
    json damaged = rows;
    damaged[1]["k"] = "x";
    CHECK(found(error_for({{"rows", damaged}}), "rows[1]: k: expected a whole number"));
    damaged[1].erase("k");
    CHECK(found(error_for({{"rows", damaged}}), "rows[1]: k is missing"));
  }

  TEST_CASE("the file has experiments one after the other, kind first, and is replaced whole") {
    const TemporaryFolder out;
    const auto file = out.path() / "results.jsonl";
    Experiment experiment = small_experiment();
    experiment.published = {{{"metric", "test_accuracy"}, {"value", 0.9793}}};
    auto lines = published_lines(experiment);
    lines.insert(lines.begin(),
                 experiment_line(experiment, "a machine", "reproduce small", {"epochs 500 → 14"}));
    write_results(file, "small", lines);
    REQUIRE(lines_of(file).size() == 2);
    for (const std::string& line : lines_of(file)) CHECK(line.starts_with("{\"kind\":"));
    const json first = experiment_line_in(file, "small");
    CHECK(first.at("title") == "A small one");
    CHECK(first.at("machine") == "a machine");
    CHECK(first.at("command") == "reproduce small");
    CHECK(first.at("cut") == json({"epochs 500 → 14"}));
    CHECK(json::parse(lines_of(file)[1]).at("value") == 0.9793);
    CHECK(experiment_line_in(file, "other").empty());
    CHECK(experiment_line_in(out.path() / "none", "small").empty());

    experiment.name = "other";
    write_results(file, "other", {experiment_line(experiment, "", "", {})});
    const std::string other = lines_of(file).at(2);
    write_results(file, "small", {lines[0]});
    CHECK(lines_of(file).size() == 2);
    CHECK(lines_of(file).at(0) == other);

    write_text(file, R"({"kind": "experiment", "experiment": "small", "cut": [1]})");
    CHECK(error_text([&] {
            experiment_line_in(file, "small");
          }).find("results.jsonl:1: cut: expected a list of texts") != std::string::npos);
    write_text(file, other + "\n{\"kind\": \"resu");
    const auto text = error_text([&] { write_results(file, "small", {}); });
    CHECK(text.find("results.jsonl:2: ") != std::string::npos);
    CHECK(lines_of(file).at(0) == other);  // untouched
  }

  TEST_CASE("the machine is named by its processor and cores") {
    CHECK(machine(2).ends_with(", 2 cores"));
    CHECK(machine(1).ends_with(", 1 core"));
  }
}
