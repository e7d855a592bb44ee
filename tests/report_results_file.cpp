// Reading results.jsonl: what is there, and what is refused, with its line and key.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "error_text.h"
#include "kernels/check.h"
#include "report_fixtures.h"
#include "report_results.h"
#include "temporary_folder.h"
#include "tools/report/inputs.h"

using namespace understudy;
using namespace understudy::report;
using nlohmann::json;

namespace {

std::string refusal(const std::string& content) {
  std::vector<Experiment> experiments;
  try {
    read_results(content, "results.jsonl", experiments);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string refusal(const json& line) {
  return refusal(test::lines({test::experiment_line(), line}));
}

// A result whose member at `path` is `value`; null leaves it out.
json changed(const std::string& path, const json& value) {
  json line = test::code_line("berrut", 2, 1, 0.9);
  line[json::json_pointer(path)] = value;
  return line;
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("a results file is read as it was written") {
    const std::vector<Experiment> all =
        test::read({test::experiment_line(), test::published_line("test_recovery_accuracy", 0.9),
                    test::result_line("mse", 2, 3, 0.96)});
    REQUIRE(all.size() == 1);
    CHECK(all[0].title == "An invented experiment");
    CHECK(all[0].settings == 12);
    CHECK(all[0].cut == std::vector<std::string>{"everything: it is invented"});
    REQUIRE(all[0].published.size() == 1);
    CHECK(all[0].published[0].metric == "recovery_accuracy");
    CHECK(all[0].published[0].value == 0.9);
    REQUIRE(all[0].outcomes.size() == 1);
    const Outcome& outcome = all[0].outcomes[0];
    CHECK(outcome.seed == 3);
    CHECK(outcome.epochs == 60);
    CHECK(outcome.value("recovery_accuracy") == 0.96);
    CHECK(outcome.value("encode_us") == 38.04);
    CHECK_FALSE(outcome.value("cost").has_value());
    REQUIRE(outcome.curve.size() == 2);
    CHECK(outcome.curve[1].epoch == 2);
    CHECK(outcome.place == "results.jsonl:3");
  }

  TEST_CASE("calibration and declining are read; a null accuracy, of no answer, is passed over") {
    json line = test::code_line("berrut", 2, 1, 0.9);
    line["values"]["declining"].push_back({{"share", 0.9}, {"accuracy", nullptr}});
    const Outcome outcome = test::read({test::experiment_line(), line})[0].outcomes[0];
    CHECK(outcome.calibration.size() == 3);
    CHECK(outcome.calibration[2].count == 700);
    CHECK(outcome.declining.size() == 2);
    CHECK(outcome.value("expected_calibration_error") == 0.031);
  }

  TEST_CASE("what is broken is refused with its line and key") {
    const std::string head = test::lines({test::experiment_line()});
    CHECK(refusal(head + "{\"kind\"\n{}\n") ==
          "results.jsonl:2: expected a JSON object, found \"{\"kind\"\"");
    CHECK(refusal(head + "[1]\n{}\n") == "results.jsonl:2: expected a JSON object, found \"[1]\"");
    CHECK(refusal(head + "{}\n") == "results.jsonl:2: \"kind\": expected text, found nothing");
    CHECK(refusal(json{{"kind", "rumour"}, {"experiment", "invented"}}) ==
          "results.jsonl:2: \"kind\": expected \"experiment\", \"published\", \"result\" or "
          "\"merge\", found \"rumour\"");
    CHECK(refusal(test::lines({test::result_line("mse", 2, 1, 0.9)})) ==
          "results.jsonl:1: \"experiment\": expected one that an earlier line of kind "
          "\"experiment\" introduces, found \"invented\"");
    CHECK(refusal(changed("/k", "two")) ==
          "results.jsonl:2: \"k\": expected a whole number from 1 to 1000, found \"two\"");
    CHECK(refusal(changed("/k", 2.5)) ==
          "results.jsonl:2: \"k\": expected a whole number from 1 to 1000, found 2.5");
    CHECK(refusal(changed("/r", nullptr)) ==
          "results.jsonl:2: \"r\": expected a whole number from 0 to 1000, found nothing");
    CHECK(refusal(changed("/seed", -1)).find("\"seed\": expected a whole number") !=
          std::string::npos);
    CHECK(refusal(changed("/dataset", 3)) ==
          "results.jsonl:2: \"dataset\": expected text, found 3");
    CHECK(refusal(changed("/values", json::array())) ==
          "results.jsonl:2: \"values\": expected an object, found an array");
    CHECK(refusal(changed("/values/test_accuracy", 97)) ==
          "results.jsonl:2: values: \"test_accuracy\": expected a fraction from 0 to 1, found 97");
    CHECK(refusal(changed("/values/test_recovery_accuracy", "good")) ==
          "results.jsonl:2: values: \"test_recovery_accuracy\": expected a fraction from 0 to 1, "
          "found \"good\"");
    CHECK(refusal(changed("/values/encode_us", -3)) ==
          "results.jsonl:2: values: \"encode_us\": expected zero or more, found -3");
    CHECK(refusal(changed("/values/calibration/1/count", "many")) ==
          "results.jsonl:2: values: calibration[1]: \"count\": expected a whole number from 0 to "
          "9007199254740992, found \"many\"");
    CHECK(
        refusal(changed("/values/declining/0/share", 3)) ==
        "results.jsonl:2: values: declining[0]: \"share\": expected a fraction from 0 to 1, found "
        "3");
    CHECK(refusal(changed("/curve", json::array({1}))) ==
          "results.jsonl:2: curve[0]: expected an object, found 1");
    CHECK(
        refusal(changed("/curve", json::array({{{"loss", 1}}}))) ==
        "results.jsonl:2: curve[0]: \"epoch\": expected a whole number from 0 to 1000000000, found "
        "nothing");
    json figure = test::published_line("recovery_accuracy", 98.87);
    CHECK(refusal(figure) ==
          "results.jsonl:2: \"value\": expected a fraction from 0 to 1, found 98.87");
    json head_line = test::experiment_line();
    head_line["cut"] = "all";
    CHECK(refusal(test::lines({head_line})) ==
          "results.jsonl:1: \"cut\": expected an array of texts, found \"all\"");
  }

  TEST_CASE("an error is one line without control characters, whatever the file holds") {
    const std::string text = refusal(changed("/k", "a\nb\x1b[31m"));
    CHECK(text.find('\n') == text.npos);
    CHECK(text.find('\x1b') == text.npos);
    CHECK(refusal(std::string(100000, '[') + "\n").find("expected a JSON object") != text.npos);
    const std::string deep =
        "{\"kind\":\"experiment\",\"experiment\":\"a\",\"title\":" + std::string(100000, '[') +
        std::string(100000, ']') + "}\n";
    CHECK(refusal(deep) == "results.jsonl:1: \"title\": expected text, found an array");
  }

  TEST_CASE("a last line that a killed program left half-written is dropped") {
    const std::string whole =
        test::lines({test::experiment_line(), test::result_line("mse", 2, 1, 0.9)});
    std::vector<Experiment> experiments;
    read_results(whole.substr(0, whole.size() - 20), "results.jsonl", experiments);
    REQUIRE(experiments.size() == 1);
    CHECK(experiments[0].outcomes.empty());
  }

  TEST_CASE("what was read before counts once; another result of the same seed is refused") {
    const json head = test::experiment_line(), line = test::result_line("mse", 2, 1, 0.9);
    std::vector<Experiment> experiments = test::read({head, line});
    read_results(test::lines({head, line}), "copy.jsonl", experiments);
    REQUIRE(experiments.size() == 1);
    CHECK(experiments[0].outcomes.size() == 1);
    CHECK(experiments[0].machines.size() == 1);
    const std::string other = test::lines({head, test::result_line("mse", 2, 1, 0.8)});
    CHECK(testing::error_text([&] { read_results(other, "other.jsonl", experiments); }) ==
          "other.jsonl:2: another result of \"mnist mlp k=2 learned mlp mse\" with seed 1 than at "
          "results.jsonl:2: expected one for each setting and seed");
  }

  TEST_CASE("inputs are run folders, results files and folders with one") {
    const TemporaryFolder root;
    const std::string content = test::lines({test::experiment_line()});
    test::write_text(root.path() / "paper" / "results.jsonl", content);
    test::write_text(root.path() / "copy.jsonl", content);
    test::write_code(root.path() / "code");
    const Inputs inputs =
        read_inputs({root.path() / "paper", root.path() / "code", root.path() / "copy.jsonl"});
    CHECK(inputs.runs.size() == 1);
    CHECK(inputs.experiments.size() == 1);
    const std::string absent = (root.path() / "absent").string();
    CHECK(testing::error_text([&] { read_inputs({absent}); }) ==
          absent + ": expected a run folder or a results.jsonl, found nothing");
    std::filesystem::create_directory(root.path() / "empty");
    CHECK(testing::error_text([&] {
            read_inputs({root.path() / "empty"});
          }).find("no header.json") != std::string::npos);
    test::write_text(root.path() / "nothing.jsonl", "");
    CHECK(testing::error_text([&] {
            read_inputs({root.path() / "nothing.jsonl"});
          }).find("is empty") != std::string::npos);
  }
}
