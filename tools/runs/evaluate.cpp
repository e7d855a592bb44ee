#include "tools/runs/evaluate.h"

#include <cmath>

#include "datasets/loader.h"
#include "engine/autograd.h"
#include "engine/ops.h"

namespace understudy {

Score evaluate(Module& model, const Dataset& dataset, const std::vector<std::int64_t>& index) {
  const NoGradGuard no_grad;
  const EvaluationGuard evaluation(model);
  Loader loader(dataset, {.batch_size = 1000, .shuffle = false}, index);
  loader.start_epoch(0);
  double loss = 0;
  std::int64_t correct = 0, count = 0;
  for (std::int64_t i = 0; i < loader.batches(); ++i) {
    const Batch batch = loader.batch(i);
    const Tensor logits = model(batch.images);
    loss += cross_entropy(logits, batch.labels, Average::sum).item();
    correct += count_correct(logits, batch.labels);
    count += batch.labels.count();
  }
  return {loss / static_cast<double>(count),
          static_cast<double>(correct) / static_cast<double>(count)};
}

std::int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const Tensor rows = logits.detach();
  const std::vector<float> values = rows.to_vector<float>();
  const std::vector<std::int64_t> guess = argmax(rows).to_vector<std::int64_t>();
  const std::vector<std::int64_t> truth = labels.to_vector<std::int64_t>();
  const std::size_t classes = guess.empty() ? 0 : values.size() / guess.size();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < guess.size(); ++i) {
    // argmax answers with the place of a NaN where the row has one.
    const bool is_nan = std::isnan(values[i * classes + static_cast<std::size_t>(guess[i])]);
    correct += guess[i] == truth[i] && !is_nan;
  }
  return correct;
}

}  // namespace understudy
