#include "tools/runs/code_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "coding/baselines.h"
#include "coding/cost.h"

namespace understudy {

using nlohmann::json;

json score_values(const CodeScore& score) {
  const CodeShape& shape = score.shape;
  json values = {{"model_accuracy", score.model_accuracy},
                 {"test_accuracy", score.available_accuracy},
                 {"test_recovery_accuracy", score.recovery_accuracy()},
                 {"test_overall_accuracy", score.overall_accuracy()},
                 {"test_group_accuracy", score.group_accuracy()},
                 {"test_squared_error", score.squared_error},
                 {"test_accuracy_1_percent_unavailable", score.accuracy_at(0.01)},
                 {"test_accuracy_5_percent_unavailable", score.accuracy_at(0.05)},
                 {"test_accuracy_10_percent_unavailable", score.accuracy_at(0.10)},
                 {"patterns", score.patterns.size()},
                 {"unrecovered", score.unrecovered},
                 {"expected_calibration_error", score.calibration.expected_error()}};
  for (int losses = 1; shape.r > 1 && losses <= shape.r; ++losses) {
    // A code that survives fewer losses than it has parities has no such pattern.
    if (std::isnan(score.recovery_accuracy(losses))) continue;
    values[fmt::format("test_recovery_accuracy_{}_missing", losses)] =
        score.recovery_accuracy(losses);
    values[fmt::format("test_overall_accuracy_{}_missing", losses)] =
        score.overall_accuracy(losses);
  }
  values["calibration"] = json::array();
  for (const Calibration::Bin& bin : score.calibration.bins())
    values["calibration"].push_back(
        {{"confidence", bin.confidence}, {"accuracy", bin.accuracy}, {"count", bin.count}});
  values["declining"] = json::array();
  for (const double share : {0.0, 0.05, 0.1, 0.2, 0.3})
    values["declining"].push_back(
        {{"share", share}, {"accuracy", score.calibration.accuracy_without(share)}});
  return values;
}

json cost_values(QueryCode& code, Module& base, const Shape& image, std::int64_t classes,
                 Device device) {
  const CodeTiming timing = measure_code(code, image, classes, 64, 51, device);
  json values = {{"encode_us", timing.encode_us},
                 {"decode_us", timing.decode_us},
                 {"encode_us_in_batch", timing.encode_us_in_batch},
                 {"decode_us_in_batch", timing.decode_us_in_batch},
                 {"timing_batch", timing.batch},
                 {"encode_multiply_adds", code.encode_multiply_adds(image)},
                 {"decode_multiply_adds", code.decode_multiply_adds(classes)},
                 {"extra_machines_percent", extra_machines_percent(code.shape())},
                 {"replication_extra_machines_percent",
                  replication_percent(std::min(code.most_losses(), code.shape().r))}};
  if (const auto count = multiply_adds(base, image)) values["base_multiply_adds"] = *count;
  return values;
}

double guess_accuracy(const TrainTest& data) {
  std::int64_t right = 0;
  const std::int64_t frequent = majority_class(data.train.labels, data.train.classes);
  for (const std::int64_t label : data.test.labels.to_vector<std::int64_t>())
    right += label == frequent;
  return static_cast<double>(right) / static_cast<double>(data.test.size());
}

}  // namespace understudy
