#include "tools/train_code/result.h"

#include <fmt/format.h>

#include "coding/cost.h"
#include "tools/runs/code_values.h"

namespace understudy {

bool above_chance(double recovery_accuracy, std::int64_t classes) {
  return recovery_accuracy >= 2.0 / static_cast<double>(classes);
}

std::map<std::string, double> test_numbers(const CodeScore& score) {
  // Arrays become numbers with paths for names, "calibration/0/count": a checkpoint holds numbers.
  std::map<std::string, double> numbers;
  const nlohmann::json values = score_values(score).flatten();
  for (const auto& [path, value] : values.items())
    if (value.is_number()) numbers[path.substr(1)] = value.get<double>();
  return numbers;
}

nlohmann::json code_result(const std::map<std::string, double>& test, TrainableCode& code,
                           Model& base, const TrainTest& data, Device device) {
  nlohmann::json flat = nlohmann::json::object();
  for (const auto& [path, value] : test) flat["/" + path] = value;
  nlohmann::json result = flat.unflatten();
  const Shape& image = code.purpose().image;
  result.update(cost_values(code, base, image, data.train.classes, device));
  if (Module* parity_model = code.parity_model(0))
    if (const auto count = multiply_adds(*parity_model, image))
      result["parity_model_multiply_adds"] = *count;
  result["no_code_accuracy"] = guess_accuracy(data);
  result["cost"] = cost_in_words(code.shape());
  result["code"] = code.name() + " over " + base.describe();
  result["k"] = code.shape().k;
  result["r"] = code.shape().r;
  result["parameters"] = code.parameter_count();
  // Some settings fail from some starts (XENT with k = 5, say): then a reconstruction is a guess.
  result["learned"] = above_chance(test.at("test_recovery_accuracy"), data.train.classes);
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
