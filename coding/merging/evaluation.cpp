#include "coding/merging/evaluation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "coding/evaluation.h"
#include "coding/merging/decode.h"
#include "coding/simulate.h"
#include "coding/timing.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Σ β_i f_i.
Tensor combined(const std::vector<Tensor>& outputs, const std::vector<double>& weights) {
  Tensor sum = scale(outputs[0], weights[0]);
  for (std::size_t i = 1; i < weights.size(); ++i) sum = sum + scale(outputs[i], weights[i]);
  return sum;
}

constexpr std::size_t most_models = 24;

double share_agreeing(const std::vector<std::int64_t>& said,
                      const std::vector<std::int64_t>& right) {
  return static_cast<double>(count_agreeing(said, right)) / static_cast<double>(said.size());
}

}  // namespace

DecodingBench::DecodingBench(const std::vector<Module*>& models,
                             const std::vector<const Dataset*>& tests)
    : tests_(tests) {
  check(models.size() == tests.size() && !models.empty(),
        "[DecodingBench] {} models and {} test sets: expected as many of each", models.size(),
        tests.size());
  for (std::size_t j = 0; j < tests_.size(); ++j) {
    outputs_.emplace_back();
    for (Module* model : models) outputs_[j].push_back(all_outputs(*model, *tests_[j]));
    base_accuracies_.push_back(accuracy(outputs_[j][j], tests_[j]->labels));
    answers_.push_back(predicted_classes(outputs_[j][j]));
    check(base_accuracies_[j] > 0, "[DecodingBench] model {} is right on no image of {}", j + 1,
          tests_[j]->name);
  }
}

DecodingScore DecodingBench::score(const std::vector<Module*>& coded,
                                   const std::vector<std::vector<double>>& weights) const {
  check(!coded.empty() && coded.size() == weights.size(),
        "[DecodingBench] {} coded models and {} rows of weights", coded.size(), weights.size());
  NoGradGuard no_grad;
  DecodingScore score;
  std::vector<std::vector<Tensor>> answers(tests_.size());  // [task][coded model]
  double error = 0, size = 0;
  for (std::size_t j = 0; j < tests_.size(); ++j) {
    for (std::size_t a = 0; a < coded.size(); ++a) {
      answers[j].push_back(all_outputs(*coded[a], *tests_[j]));
      const Tensor wanted = combined(outputs_[j], weights[a]);
      error += mse(answers[j][a], wanted).item();
      size += mean(square(wanted)).item();
    }
    const Tensor decoded =
        decode_models(answers[j], outputs_[j], weights, {static_cast<int>(j)}).decoded[0];
    const auto said = predicted_classes(decoded);
    const auto labels = tests_[j]->labels.to_vector<std::int64_t>();
    const TaskScore task{tests_[j]->name, base_accuracies_[j], share_agreeing(said, labels),
                         share_agreeing(said, answers_[j])};
    score.tasks.push_back(task);
    const double share = 1.0 / static_cast<double>(tests_.size());
    score.normalized_decoding_accuracy += share * task.normalized();
    score.decoded_accuracy += share * task.decoded_accuracy;
    score.recovery_accuracy += share * task.recovery_accuracy;
    const Tensor& own = outputs_[j][j];
    const double relative = std::sqrt(mse(decoded, own).item() / mean(square(own)).item());
    score.worst_decoded_error = std::max(score.worst_decoded_error, relative);
  }
  score.relative_output_error = size > 0 ? std::sqrt(error / size) : 0;
  add_late_sets(answers, weights, score);
  return score;
}

void DecodingBench::add_late_sets(const std::vector<std::vector<Tensor>>& answers,
                                  const std::vector<std::vector<double>>& weights,
                                  DecodingScore& score) const {
  const std::size_t n = tests_.size();
  check(n <= most_models,
        "[DecodingBench] {} models, whose sets are counted by the bits of one number; at most {}",
        n, most_models);
  for (std::size_t late = 1; late <= std::min(weights.size(), n); ++late) {
    LateScore sums{.late = static_cast<int>(late)};
    double cases = 0;
    for (std::uint32_t set = 1; set < std::uint32_t{1} << n; ++set) {
      if (static_cast<std::size_t>(std::popcount(set)) != late) continue;
      std::vector<int> models;
      for (std::size_t j = 0; j < n; ++j)
        if (set >> j & 1) models.push_back(static_cast<int>(j));
      for (std::size_t place = 0; place < models.size(); ++place) {
        const auto j = static_cast<std::size_t>(models[place]);
        const ModelDecoding decoding = decode_models(answers[j], outputs_[j], weights, models);
        const auto said = predicted_classes(decoding.decoded[place]);
        sums.normalized_decoding_accuracy +=
            100 * share_agreeing(said, tests_[j]->labels.to_vector<std::int64_t>()) /
            base_accuracies_[j];
        sums.recovery_accuracy += share_agreeing(said, answers_[j]);
        sums.worst_amplification = std::max(sums.worst_amplification, decoding.amplification);
        sums.worst_condition = std::max(sums.worst_condition, decoding.condition);
        ++cases;
      }
    }
    sums.normalized_decoding_accuracy /= cases;
    sums.recovery_accuracy /= cases;
    score.by_late.push_back(sums);
  }
}

DecodingTiming measure_decoding(const std::vector<double>& weights, std::int64_t classes,
                                std::int64_t batch, int repeats, Device device) {
  check(!weights.empty() && classes >= 1 && batch >= 1 && repeats >= 1,
        "[measure_decoding] {} models, {} classes, batch {}, repeats {}: expected 1 at least",
        weights.size(), classes, batch, repeats);
  NoGradGuard no_grad;
  Generator generator(0, Stream::sampling);
  const auto measure = [&](std::int64_t queries) {
    Tensor coded = Tensor::empty({queries, classes}, DType::f32, device);
    fill_normal(coded, generator, 0, 1);
    const std::vector<Tensor> outputs(weights.size(), coded);
    double total = 0, models = 0;
    for (std::size_t late = 0; late < weights.size(); ++late) {
      if (weights[late] == 0) continue;
      total += median_microseconds(
          device, repeats, [&] { decode_model(coded, outputs, weights, static_cast<int>(late)); });
      ++models;
    }
    return total / models / static_cast<double>(queries);
  };
  return {measure(1), measure(batch), batch};
}

}  // namespace understudy
