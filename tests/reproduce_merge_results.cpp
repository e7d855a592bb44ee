// Lines of results.jsonl of codes over models, from made-up run folders.
#include <doctest/doctest.h>

#include <fstream>

#include "error_text.h"
#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/plan.h"
#include "tools/reproduce/results.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;
using nlohmann::json;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

json row(const char* method, const json& points, double score) {
  return {{"label", "a label"},
          {"method", method},
          {"needs", "points"},
          {"points", points},
          {"fisher", nullptr},
          {"fisher_data", nullptr},
          {"damping", nullptr},
          {"weights", {0.5, 0.5}},
          {"seconds", 1.23456789},
          {"peak_bytes", 1000000000},
          {"normalised_decoding_accuracy", score},
          {"recovery_accuracy", 0.9},
          {"tasks",
           {{{"dataset", "mnist"}, {"base_accuracy", 0.98}, {"decoded_accuracy", 0.9}},
            {{"dataset", "fashion-mnist"}, {"base_accuracy", 0.88}, {"decoded_accuracy", 0.8}}}}};
}

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("a merge gives a line for each of its rows") {
    const TemporaryFolder out;
    Experiment experiment;
    experiment.name = "small";
    experiment.notes = {"In words."};
    MergeSetting setting = small_merge();
    for (BaseModel& model : setting.models) model.width = 16;
    setting.start->width = 16;
    experiment.settings = {setting};
    const auto folder = out.path() / folder_of(setting);
    const auto lines = [&] { return result_lines(experiment, setting, out.path()); };
    CHECK(lines().empty());

    json coin = row("coin", 100, 86.123456789);
    coin["fisher"] = "gaussian";
    coin["fisher_data"] = "own";
    coin["damping"] = 0.01;
    coin["searched"] = {{"error", 0.5}};
    json distill = row("distill", 1000, 91);
    distill["curve"] = {{{"epoch", 1}, {"seconds", 0.5}, {"normalised_decoding_accuracy", 70}}};
    json rows = {row("average", nullptr, 60.7), coin, distill};
    make_run(folder, "merge_models", 0, 0, {}, {{"rows", rows}, {"model", "mlp 784-400-400-10"}});
    json header = json::parse(std::ifstream(folder / "header.json"));
    header["dataset"] = {{{"name", "mnist"}, {"train", 60000}, {"sample", false}},
                         {{"name", "fashion-mnist"}, {"train", 6000}, {"sample", true}}};
    write_text(folder / "header.json", header.dump());
    REQUIRE(lines().size() == 3);
    const json first = lines()[0], second = lines()[1];
    CHECK(first.at("kind") == "merge");
    CHECK(first.at("experiment") == "small");
    CHECK(first.at("setting") == setting.text());
    CHECK(first.at("tasks") == json({"mnist", "fashion-mnist"}));
    CHECK(first.at("base") == "mlp");
    CHECK(first.at("base_model") == "mlp 784-400-400-10");
    CHECK(first.at("initialisation") == "pretrained");
    CHECK(first.at("start") == "cifar-10-grey28");
    CHECK(first.at("models") == 2);
    CHECK(first.at("seed") == 1);
    CHECK(first.at("reduced") == "width 16, 6000 training images of fashion-mnist");
    CHECK(first.at("commit") == "0123456789ab");
    CHECK(has(first.at("command").get<std::string>(), "--points 100,1000 --models tuned-mnist"));
    CHECK(first.at("method") == "average");
    for (const char* key : {"points", "fisher", "fisher_data", "damping"})
      CHECK(first.at(key).is_null());
    CHECK(first.at("weights") == json({0.5, 0.5}));
    CHECK(first.at("base_accuracies") == json({0.98, 0.88}));
    CHECK(first.at("decoded_accuracies") == json({0.9, 0.8}));
    CHECK(first.at("values") == json({{"seconds", 1.23457},
                                      {"peak_bytes", 1000000000},
                                      {"normalised_decoding_accuracy", 60.7},
                                      {"recovery_accuracy", 0.9}}));
    CHECK_FALSE(first.contains("curve"));
    CHECK_FALSE(first.contains("searched"));
    CHECK(second.at("points") == 100);
    CHECK(second.at("fisher") == "gaussian");
    CHECK(second.at("damping") == 0.01);
    CHECK(second.at("searched").at("error") == 0.5);
    CHECK(second.at("values").at("normalised_decoding_accuracy") == 86.1235);
    CHECK(lines()[2].at("curve").at(0).at("seconds") == 0.5);
    CHECK(has(summary(second), "coin P=100 gaussian own damping=0.01  (width 16, 6000"));
    CHECK(has(summary(second), "normalised  86.12 %      1.23 s  mnist+fashion-mnist mlp"));
    CHECK(experiment_line(experiment, "", "", {}).at("notes") == json({"In words."}));

    const auto error_for = [&](const char* key, const json& value) {
      json damaged = rows;
      damaged[1][key] = value;
      make_run(folder, "merge_models", 0, 0, {}, {{"rows", damaged}});
      return error_text(lines);
    };
    CHECK(has(error_for("method", 3), "rows[1]: method: expected a text, found 3"));
    CHECK(has(error_for("normalised_decoding_accuracy", nullptr), "expected a number, found null"));
    CHECK(has(error_for("tasks", {{{"dataset", "mnist"}}}), "tasks: base_accuracy is missing"));
    header["dataset"][1]["train"] = "x";
    make_run(folder, "merge_models", 0, 0, {}, {{"rows", rows}});
    write_text(folder / "header.json", header.dump());
    CHECK(has(error_text(lines), "header.json: dataset: train: expected a whole number"));
  }
}
