// Lines of a results.jsonl with numbers that are invented: no machine has ever found them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/report/results_file.h"

namespace understudy::test {

inline nlohmann::json experiment_line(const std::string& name = "invented") {
  return {{"kind", "experiment"},
          {"experiment", name},
          {"title", "An invented experiment"},
          {"source", "nobody 1900"},
          {"machine", "no machine, 2 cores"},
          {"command", "reproduce " + name},
          {"settings", 12},
          {"cut", {"everything: it is invented"}}};
}

inline nlohmann::json published_line(const std::string& metric, double value, int k = 2) {
  return {{"kind", "published"},
          {"experiment", "invented"},
          {"dataset", "mnist"},
          {"base", "resnet18"},
          {"k", k},
          {"r", 1},
          {"code", "best learned"},
          {"metric", metric},
          {"value", value}};
}

// Of a learned code; `recovery` as a fraction.
inline nlohmann::json result_line(const std::string& loss, int k, int seed, double recovery) {
  return {{"kind", "result"},
          {"experiment", "invented"},
          {"setting", "mnist mlp k=" + std::to_string(k) + " learned mlp " + loss},
          {"dataset", "mnist"},
          {"base", "mlp"},
          {"base_model", "mlp 784-200-100-10"},
          {"reduced", ""},
          {"code", "learned"},
          {"encoder", "mlp"},
          {"loss", loss},
          {"channels", "aligned"},
          {"k", k},
          {"r", 1},
          {"seed", seed},
          {"epochs", 60},
          {"epochs_published", 500},
          {"commit", "1f2e3d4c5b6a"},
          {"device", "cpu"},
          {"instruction_set", "avx2"},
          {"threads", 1},
          {"seconds", 90.0},
          {"command", "train_code --loss " + loss + " --k " + std::to_string(k) + " --seed " +
                          std::to_string(seed)},
          {"values",
           {{"test_accuracy", 0.98},
            {"test_recovery_accuracy", recovery},
            {"test_overall_accuracy", recovery - 0.01},
            {"no_code_accuracy", 0.1135},
            {"encode_us", 38.04},
            {"decode_us", 4.206},
            {"encode_multiply_adds", 356400},
            {"base_multiply_adds", 178200},
            {"extra_machines_percent", 100.0 / k},
            {"cost", "in words"}}},
          {"curve",
           {{{"epoch", 1}, {"validation_recovery_accuracy", recovery / 2}},
            {{"epoch", 2}, {"validation_recovery_accuracy", recovery}}}}};
}

// Of a code without training, with calibration.
inline nlohmann::json code_line(const std::string& code, int k, int r, double recovery) {
  nlohmann::json line = result_line("", k, 1, recovery);
  line["setting"] = code + " k=" + std::to_string(k) + " r=" + std::to_string(r);
  line["code"] = code;
  line["encoder"] = "";
  line["channels"] = "";
  line["r"] = r;
  line["epochs"] = 0;
  line["epochs_published"] = 0;
  line["command"] = "compare_codes --codes all";
  line.erase("curve");
  line["values"]["extra_machines_percent"] = 100.0 * r / k;
  line["values"]["test_squared_error"] = 9.5;
  line["values"]["expected_calibration_error"] = 0.031;
  line["values"]["calibration"] = {{{"confidence", 0.0}, {"accuracy", 0.0}, {"count", 0}},
                                   {{"confidence", 0.45}, {"accuracy", 0.5}, {"count", 300}},
                                   {{"confidence", 0.95}, {"accuracy", 0.9}, {"count", 700}}};
  line["values"]["declining"] = {{{"share", 0.0}, {"accuracy", 0.8}},
                                 {{"share", 0.3}, {"accuracy", 0.9}}};
  return line;
}

// Of a merge of two models; `score` in per cent, `points` 0 for a method that looks at none.
inline nlohmann::json merge_line(const std::string& method, int points, int seed, double score,
                                 double seconds) {
  nlohmann::json line = {{"kind", "merge"},
                         {"experiment", "invented"},
                         {"setting", "mnist+fashion-mnist mlp pretrained"},
                         {"tasks", {"mnist", "fashion-mnist"}},
                         {"base", "mlp"},
                         {"base_model", "mlp 784-400-400-10"},
                         {"initialisation", "pretrained"},
                         {"start", "cifar-10-grey28"},
                         {"models", 2},
                         {"seed", seed},
                         {"reduced", ""},
                         {"commit", "1f2e3d4c5b6a"},
                         {"device", "cpu"},
                         {"instruction_set", "avx2"},
                         {"threads", 1},
                         {"command", "merge_models --method all --seed " + std::to_string(seed)},
                         {"method", method},
                         {"points", nullptr},
                         {"fisher", nullptr},
                         {"fisher_data", nullptr},
                         {"damping", nullptr},
                         {"weights", {0.5, 0.5}},
                         {"base_accuracies", {0.98, 0.88}},
                         {"decoded_accuracies", {0.0098 * score, 0.0088 * score}},
                         {"values",
                          {{"normalised_decoding_accuracy", score},
                           {"seconds", seconds},
                           {"peak_bytes", 1048576 * 12.5},
                           {"recovery_accuracy", score / 110},
                           {"decoded_accuracy", 0.0093 * score},
                           {"relative_output_error", 0.25}}}};
  if (points > 0) line["points"] = points;
  if (method.starts_with("coin")) {
    line["fisher"] = "gaussian";
    line["fisher_data"] = "own";
    line["damping"] = 0;
  }
  if (method == "distill")
    for (const int epoch : {1, 2})
      line["curve"].push_back({{"epoch", epoch},
                               {"seconds", seconds * epoch / 2},
                               {"train_loss", 1.0 / epoch},
                               {"train_normalised_decoding_accuracy", 50.0 * epoch},
                               {"normalised_decoding_accuracy", score - 10 * (2 - epoch)}});
  return line;
}

inline std::string lines(const std::vector<nlohmann::json>& all) {
  std::string text;
  for (const nlohmann::json& line : all) text += line.dump() + "\n";
  return text;
}

inline std::vector<report::Experiment> read(const std::vector<nlohmann::json>& all) {
  std::vector<report::Experiment> experiments;
  report::read_results(lines(all), "results.jsonl", experiments);
  return experiments;
}

// An experiment that has only these merges.
inline report::Experiment read_merges(std::vector<nlohmann::json> all) {
  all.insert(all.begin(), experiment_line());
  return read(all)[0];
}

}  // namespace understudy::test
