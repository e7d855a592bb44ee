#include "coding/merging/evaluation.h"

#include <cmath>
#include <utility>

#include "coding/evaluation.h"
#include "coding/merging/decode.h"
#include "coding/simulate.h"
#include "engine/autograd.h"
#include "engine/ops.h"
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
    score.tasks.push_back(
        {tests_[j]->name, base_accuracies_[j], accuracy(decoded, tests_[j]->labels)});
    score.normalized_decoding_accuracy +=
        score.tasks.back().normalized() / static_cast<double>(tests_.size());
    Tensor wanted = scale(outputs_[j][0], weights_[0]);
    for (std::size_t i = 1; i < weights_.size(); ++i)
      wanted = wanted + scale(outputs_[j][i], weights_[i]);
    error += mse(answer, wanted).item();
    size += mean(square(wanted)).item();
  }
  score.relative_output_error = size > 0 ? std::sqrt(error / size) : 0;
  return score;
}

}  // namespace understudy
