// Merges in a results file: what is read, and what is refused.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "error_text.h"
#include "report_results.h"

using namespace understudy;
using namespace understudy::report;
using nlohmann::json;

namespace {

std::string refusal(const json& line) {
  return testing::error_text([&] { test::read_merges({line}); });
}

json changed(const std::string& path, const json& value) {
  json line = test::merge_line("distill", 100, 1, 80, 4);
  line[json::json_pointer(path)] = value;
  return line;
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("a merge is read as it was written") {
    const Experiment experiment = test::read_merges({test::merge_line("distill", 100, 3, 80, 4)});
    CHECK(experiment.outcomes.empty());
    REQUIRE(experiment.merges.size() == 1);
    const MergeOutcome& merge = experiment.merges[0];
    CHECK(merge.tasks == std::vector<std::string>{"mnist", "fashion-mnist"});
    CHECK(merge.start == "cifar-10-grey28");
    CHECK(merge.points == 100);
    CHECK(merge.fisher.empty());
    CHECK_FALSE(merge.damping.has_value());
    CHECK(merge.weights == std::vector<std::vector<double>>{{0.5, 0.5}});
    CHECK(merge.value("normalised_decoding_accuracy") == 80);
    CHECK(merge.value("seconds") == 4);
    CHECK(merge.base_accuracies == std::vector<double>{0.98, 0.88});
    REQUIRE(merge.curve.size() == 2);
    CHECK(merge.curve[0].test == 70);
    CHECK(merge.curve[1].train == 100);
    CHECK(merge.curve[1].seconds == 4);
    CHECK(merge.place == "results.jsonl:2");
  }

  TEST_CASE("a damaged merge is refused with its line and key") {
    const std::string at = "results.jsonl:2: ";
    CHECK(refusal(changed("/method", nullptr)) == at + "\"method\": expected text, found nothing");
    CHECK(refusal(changed("/tasks", "mnist")) ==
          at + "\"tasks\": expected an array of texts, found \"mnist\"");
    CHECK(refusal(changed("/tasks", {"mnist"})) ==
          at + "\"tasks\": expected one for each of 2 models, found 1");
    CHECK(refusal(changed("/models", 1)) ==
          at + "\"models\": expected a whole number from 2 to 1000, found 1");
    CHECK(refusal(changed("/initialisation", 3)) ==
          at + "\"initialisation\": expected text, found 3");
    CHECK(refusal(changed("/points", 0)) ==
          at + "\"points\": expected a whole number from 1 to 1000000000, found 0");
    CHECK(refusal(changed("/points", 1.5)) ==
          at + "\"points\": expected a whole number from 1 to 1000000000, found 1.5");
    CHECK(refusal(changed("/damping", -1)) ==
          at + "\"damping\": expected a number from 0 to 1000000, found -1");
    CHECK(refusal(changed("/weights", {1})) == at + "\"weights\": expected 2 numbers, found 1");
    CHECK(refusal(changed("/weights", {"a", "b"})) ==
          at + "\"weights\": expected an array of numbers alone, found an array");
    CHECK(refusal(changed("/weights", {{0.5, 0.5}, 1})) ==
          at + "\"weights\": expected an array of numbers, found an array");
    CHECK(refusal(changed("/base_accuracies", {0.9, 97})) ==
          at + "\"base_accuracies\": expected fractions from 0 to 1, found 97");
    CHECK(refusal(changed("/decoded_accuracies", {0.9})) ==
          at + "\"decoded_accuracies\": expected 2 numbers, found 1");
    CHECK(refusal(changed("/values", nullptr)) ==
          at + "\"values\": expected an object, found nothing");
    CHECK(refusal(changed("/values/normalised_decoding_accuracy", nullptr)) ==
          at + "values: \"normalised_decoding_accuracy\": expected a number, found nothing");
    CHECK(refusal(changed("/values/seconds", -2)) ==
          at + "values: \"seconds\": expected a number from 0 to 10000000000, found -2");
    CHECK(refusal(changed("/values/recovery_accuracy", 90)) ==
          at + "values: \"recovery_accuracy\": expected a fraction from 0 to 1, found 90");
    CHECK(refusal(changed("/curve/1/epoch", "two")) ==
          at + "curve[1]: \"epoch\": expected a whole number from 0 to 1000000000, found \"two\"");
    CHECK(refusal(changed("/curve/0/normalised_decoding_accuracy", "good")) ==
          at + "curve[0]: \"normalised_decoding_accuracy\": expected a number, found \"good\"");
  }

  TEST_CASE("a merge that was read before counts once; another result of its seed is refused") {
    const json line = test::merge_line("coin", 100, 1, 80, 4);
    CHECK(test::read_merges({line, line}).merges.size() == 1);
    json other = line;
    other["values"]["normalised_decoding_accuracy"] = 81;
    CHECK(testing::error_text([&] {
            test::read_merges({line, other});
          }) ==
          "results.jsonl:3: another result of \"mnist+fashion-mnist mlp pretrained\" by coin with "
          "seed 1 than at results.jsonl:2: expected one for each setting and seed");
    other["points"] = 200;
    CHECK(test::read_merges({line, other}).merges.size() == 2);
    other["setting"] = "a\nb";
    json again = other;
    again["values"]["seconds"] = 5;
    CHECK(testing::error_text([&] {
            test::read_merges({other, again});
          }).find('\n') == std::string::npos);
  }
}
