#include "coding/evaluation.h"

#include <cmath>
#include <limits>

#include "coding/simulate.h"
#include "datasets/loader.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Σ count / Σ rows over the patterns that `keep` takes; NaN for none.
template <class Count, class Keep>
double share(const std::vector<PatternScore>& patterns, Count count, Keep keep) {
  std::int64_t hits = 0, rows = 0;
  for (const PatternScore& score : patterns) {
    if (!keep(score)) continue;
    hits += count(score);
    rows += score.rows;
  }
  if (rows == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(hits) / static_cast<double>(rows);
}

constexpr auto recovered = [](const PatternScore& score) { return score.recovered; };
constexpr auto correct = [](const PatternScore& score) { return score.correct; };
constexpr auto all = [](const PatternScore&) { return true; };
auto with_losses(int losses) {
  return [losses](const PatternScore& score) { return score.pattern.losses() == losses; };
}

bool agree(std::int64_t predicted, std::int64_t wanted) {
  return predicted >= 0 && predicted == wanted;
}

}  // namespace

std::vector<std::int64_t> predicted_classes(const Tensor& outputs) {
  std::vector<std::int64_t> best = argmax(outputs).to_vector<std::int64_t>();
  const std::vector<double> total = sum(cast(outputs, DType::f64), {1}).to_vector<double>();
  for (std::size_t i = 0; i < best.size(); ++i)
    if (std::isnan(total[i])) best[i] = -1;
  return best;
}

std::int64_t count_agreeing(const std::vector<std::int64_t>& predicted,
                            const std::vector<std::int64_t>& wanted) {
  check(predicted.size() == wanted.size(), "[evaluation] {} predictions for {} rows",
        predicted.size(), wanted.size());
  std::int64_t right = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) right += agree(predicted[i], wanted[i]);
  return right;
}

std::int64_t CodeScore::erasures() const {
  std::int64_t rows = 0;
  for (const PatternScore& score : patterns) rows += score.rows;
  return rows;
}
double CodeScore::recovery_accuracy() const { return share(patterns, recovered, all); }
double CodeScore::overall_accuracy() const { return share(patterns, correct, all); }
double CodeScore::recovery_accuracy(int losses) const {
  return share(patterns, recovered, with_losses(losses));
}
double CodeScore::overall_accuracy(int losses) const {
  return share(patterns, correct, with_losses(losses));
}

double CodeScore::accuracy_at(double unavailable) const {
  check(unavailable >= 0 && unavailable <= 1,
        "[accuracy_at] {} of the answers cannot be unavailable: a fraction is in [0, 1]",
        unavailable);
  return (1 - unavailable) * available_accuracy + unavailable * overall_accuracy();
}

std::vector<ErasurePattern> standard_patterns(const QueryCode& code) {
  return all_patterns(code.shape(), code.most_losses(), /*data_only=*/code.systematic());
}

CodeScore evaluate_code(QueryCode& code, Module& base, const Dataset& dataset,
                        const Tensor& base_outputs, const std::vector<ErasurePattern>& patterns,
                        const std::vector<std::int64_t>& index, std::int64_t groups_per_batch) {
  check(base_outputs.rank() == 2 && base_outputs.size(0) == dataset.size(),
        "[evaluate_code] base outputs {} do not belong to the {} images of {}",
        to_string(base_outputs.shape()), dataset.size(), dataset.name);
  check(!patterns.empty(), "[evaluate_code] no pattern to simulate");
  NoGradGuard no_grad;
  const CodeEvaluationGuard evaluation(code, base);
  const int k = code.shape().k;
  const Loader loader(dataset, {.batch_size = groups_per_batch * k, .shuffle = false, .group = k},
                      index);
  CodeScore score;
  for (const ErasurePattern& pattern : patterns) score.patterns.push_back({pattern});
  double squared_error = 0;
  std::int64_t right = 0;

  for (std::int64_t b = 0; b < loader.batches(); ++b) {
    const Batch batch = loader.batch(b);
    const Tensor outputs = gather_rows(base_outputs, batch.index);
    const GroupBatch groups = as_groups(batch.images, outputs, batch.labels, k);
    const std::int64_t G = groups.groups.size(0);
    const Erasures scenarios =
        Erasures::scenarios(code.shape(), patterns, G, code.most_losses(), batch.images.device());
    const Reconstruction lost = simulate_losses(code, base, groups, scenarios);
    squared_error += mse(lost.decoded, lost.target, Average::sum).item();

    const auto decoded = predicted_classes(lost.decoded);
    const auto wanted = predicted_classes(lost.target);
    const auto labels = lost.labels.to_vector<std::int64_t>();
    std::size_t row = 0;  // in the order group, pattern, unit
    for (std::int64_t g = 0; g < G; ++g)
      for (PatternScore& pattern : score.patterns)
        for (int unit = 0; unit < reconstructed_rows(code, pattern.pattern); ++unit, ++row) {
          ++pattern.rows;
          pattern.recovered += agree(decoded[row], wanted[row]);
          pattern.correct += agree(decoded[row], labels[row]);
        }
    right += count_agreeing(predicted_classes(outputs), batch.labels.to_vector<std::int64_t>());
    score.groups += G;
  }
  score.images = score.groups * k;
  score.available_accuracy = static_cast<double>(right) / static_cast<double>(score.images);
  score.squared_error = squared_error / static_cast<double>(score.erasures());
  return score;
}

double accuracy(const Tensor& outputs, const Tensor& labels) {
  check(outputs.rank() == 2 && labels.shape() == Shape{outputs.size(0)} && outputs.size(0) > 0,
        "[accuracy] outputs {} and labels {}: expected (N,classes) and (N), N >= 1",
        to_string(outputs.shape()), to_string(labels.shape()));
  const std::int64_t right =
      count_agreeing(predicted_classes(outputs), labels.to_vector<std::int64_t>());
  return static_cast<double>(right) / static_cast<double>(outputs.size(0));
}

}  // namespace understudy
