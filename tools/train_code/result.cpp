#include "tools/train_code/result.h"

#include <fmt/format.h>

#include "coding/baselines.h"
#include "coding/cost.h"

namespace understudy {

std::map<std::string, double> test_numbers(const CodeScore& score, int r) {
  std::map<std::string, double> numbers = {
      {"test_accuracy", score.available_accuracy},
      {"test_recovery_accuracy", score.recovery_accuracy()},
      {"test_overall_accuracy", score.overall_accuracy()},
      {"test_squared_error", score.squared_error},
      {"test_accuracy_1_percent_unavailable", score.accuracy_at(0.01)},
      {"test_accuracy_5_percent_unavailable", score.accuracy_at(0.05)},
      {"test_accuracy_10_percent_unavailable", score.accuracy_at(0.10)}};
  for (int losses = 1; r > 1 && losses <= r; ++losses) {
    numbers[fmt::format("test_recovery_accuracy_{}_missing", losses)] =
        score.recovery_accuracy(losses);
    numbers[fmt::format("test_overall_accuracy_{}_missing", losses)] =
        score.overall_accuracy(losses);
  }
  return numbers;
}

nlohmann::json code_result(const std::map<std::string, double>& test, LearnedCode& code,
                           Model& base, const TrainTest& data, Device device) {
  nlohmann::json result = test;
  const Shape& image = code.options().image;
  const CodeTiming timing = measure_code(code, image, data.train.classes, 64, 51, device);
  std::int64_t guessed = 0;
  const std::int64_t frequent = majority_class(data.train.labels, data.train.classes);
  for (const std::int64_t label : data.test.labels.to_vector<std::int64_t>())
    guessed += label == frequent;
  result["no_code_accuracy"] = static_cast<double>(guessed) / static_cast<double>(data.test.size());
  result["encode_us"] = timing.encode_us;
  result["decode_us"] = timing.decode_us;
  result["encode_us_in_batch"] = timing.encode_us_in_batch;
  result["decode_us_in_batch"] = timing.decode_us_in_batch;
  result["timing_batch"] = timing.batch;
  result["encode_multiply_adds"] = code.encode_multiply_adds(image);
  result["decode_multiply_adds"] = code.decode_multiply_adds(data.train.classes);
  if (const auto count = multiply_adds(base, image)) result["base_multiply_adds"] = *count;
  result["extra_machines_percent"] = extra_machines_percent(code.shape());
  result["replication_extra_machines_percent"] = replication_percent(code.shape().r);
  result["cost"] = cost_in_words(code.shape());
  result["code"] = code.name() + " over " + base.describe();
  result["k"] = code.shape().k;
  result["r"] = code.shape().r;
  result["parameters"] = code.parameter_count();
  // Some settings fail from some starts (XENT with k = 5, say): then a reconstruction is a guess.
  const double guess = 1.0 / static_cast<double>(data.train.classes);
  result["learned"] = test.at("test_recovery_accuracy") >= 2 * guess;
  return result;
}

void print_code_result(const nlohmann::json& result) {
  const auto percent = [&](const char* key) { return 100 * result.at(key).get<double>(); };
  fmt::print("{}: k = {}, r = {}, {} loss\n", result.at("code").get<std::string>(),
             result.at("k").get<int>(), result.at("r").get<int>(),
             result.at("loss").get<std::string>());
  fmt::print("  accuracy when every worker answers       {:6.2f} %\n", percent("test_accuracy"));
  fmt::print(
      "  accuracy of a reconstructed answer       {:6.2f} %  (without a code, guessing the "
      "most frequent class: {:.2f} %)\n",
      percent("test_overall_accuracy"), percent("no_code_accuracy"));
  fmt::print("  1, 5, 10 % of the answers reconstructed  {:6.2f}, {:.2f}, {:.2f} %\n",
             percent("test_accuracy_1_percent_unavailable"),
             percent("test_accuracy_5_percent_unavailable"),
             percent("test_accuracy_10_percent_unavailable"));
  fmt::print("  cost                                     {}\n",
             result.at("cost").get<std::string>());
  fmt::print("  encode, decode a group                   {:.1f} µs, {:.1f} µs\n",
             result.at("encode_us").get<double>(), result.at("decode_us").get<double>());
  if (!result.at("learned").get<bool>())
    fmt::print(
        "  THE CODE HAS NOT LEARNED to reconstruct: some settings fail from some starts; try "
        "another --seed\n");
  fmt::print("test recovery-accuracy {:.2f} %\n", percent("test_recovery_accuracy"));
}

}  // namespace understudy
