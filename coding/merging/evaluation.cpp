#include "coding/merging/evaluation.h"

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

DecodingBench::DecodingBench(const std::vector<Module*>& models,
                             const std::vector<const Dataset*>& tests, std::vector<double> weights)
    : tests_(tests), weights_(std::move(weights)) {
  check(models.size() == tests.size() && models.size() == weights_.size() && !models.empty(),
        "[DecodingBench] {} models, {} test sets and {} weights: expected as many of each",
        models.size(), tests.size(), weights_.size());
  for (std::size_t j = 0; j < tests_.size(); ++j) {
    outputs_.emplace_back();
    for (Module* model : models) outputs_[j].push_back(all_outputs(*model, *tests_[j]));
    base_accuracies_.push_back(accuracy(outputs_[j][j], tests_[j]->labels));
    answers_.push_back(predicted_classes(outputs_[j][j]));
    check(base_accuracies_[j] > 0, "[DecodingBench] model {} is right on no image of {}", j + 1,
          tests_[j]->name);
  }
}

DecodingScore DecodingBench::score(Module& coded) const {
  NoGradGuard no_grad;
  DecodingScore score;
  double error = 0, size = 0;
  for (std::size_t j = 0; j < tests_.size(); ++j) {
    const Tensor answer = all_outputs(coded, *tests_[j]);
    const Tensor decoded = decode_model(answer, outputs_[j], weights_, static_cast<int>(j));
    const auto said = predicted_classes(decoded);
    const auto images = static_cast<double>(said.size());
    const auto labels = tests_[j]->labels.to_vector<std::int64_t>();
    const TaskScore task{tests_[j]->name, base_accuracies_[j],
                         static_cast<double>(count_agreeing(said, labels)) / images,
                         static_cast<double>(count_agreeing(said, answers_[j])) / images};
    score.tasks.push_back(task);
    const double share = 1.0 / static_cast<double>(tests_.size());
    score.normalized_decoding_accuracy += share * task.normalized();
    score.decoded_accuracy += share * task.decoded_accuracy;
    score.recovery_accuracy += share * task.recovery_accuracy;
    Tensor wanted = scale(outputs_[j][0], weights_[0]);
    for (std::size_t i = 1; i < weights_.size(); ++i)
      wanted = wanted + scale(outputs_[j][i], weights_[i]);
    error += mse(answer, wanted).item();
    size += mean(square(wanted)).item();
  }
  score.relative_output_error = size > 0 ? std::sqrt(error / size) : 0;
  return score;
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
    double total = 0;
    for (std::size_t late = 0; late < weights.size(); ++late)
      total += median_microseconds(
          device, repeats, [&] { decode_model(coded, outputs, weights, static_cast<int>(late)); });
    return total / static_cast<double>(weights.size()) / static_cast<double>(queries);
  };
  return {measure(1), measure(batch), batch};
}

}  // namespace understudy
