#include "tools/runs/evaluate.h"

#include "datasets/loader.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "tools/runs/step_sums.h"

namespace understudy {

Score evaluate(Module& model, const Dataset& dataset, const std::vector<std::int64_t>& index) {
  const NoGradGuard no_grad;
  const EvaluationGuard evaluation(model);
  const Loader loader(dataset, {.batch_size = 1000, .shuffle = false}, index);
  StepSums sums(loader.device(), {0, 0});
  double count = 0;
  for (std::int64_t i = 0; i < loader.batches(); ++i) {
    const Batch batch = loader.batch(i);
    const Tensor logits = model(batch.images);
    sums.add(
        {cross_entropy(logits, batch.labels, Average::sum), correct_answers(logits, batch.labels)});
    count += static_cast<double>(batch.labels.count());
  }
  const std::vector<double> totals = sums.read();
  return {totals[0] / count, totals[1] / count};
}

Tensor correct_answers(const Tensor& logits, const Tensor& labels) {
  const NoGradGuard no_grad;
  const Tensor hits = equal(cast(argmax(logits), DType::f64), cast(labels, DType::f64));
  // argmax answers with the place of a NaN where the row has one; the maximum is NaN then.
  const Tensor largest = max(logits, 1);
  return sum(hits * cast(equal(largest, largest), DType::f64));
}

}  // namespace understudy
