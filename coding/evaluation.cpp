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

// A decoded row with a NaN in it recovers nothing, whatever argmax makes of it.
std::vector<std::int64_t> classes_of(const Tensor& outputs) {
  std::vector<std::int64_t> best = argmax(outputs).to_vector<std::int64_t>();
  const std::vector<double> total = sum(cast(outputs, DType::f64), {1}).to_vector<double>();
  for (std::size_t i = 0; i < best.size(); ++i)
    if (std::isnan(total[i])) best[i] = -1;
  return best;
}

}  // namespace

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
  return all_patterns(code.shape(), code.most_losses(), /*data_only=*/true);
}

CodeScore evaluate_code(QueryCode& code, Module& base, const Dataset& dataset,
                        const Tensor& base_outputs, const std::vector<ErasurePattern>& patterns,
                        const std::vector<std::int64_t>& index, std::int64_t groups_per_batch) {
  check(base_outputs.rank() == 2 && base_outputs.size(0) == dataset.size(),
        "[evaluate_code] base outputs {} do not belong to the {} images of {}",
        to_string(base_outputs.shape()), dataset.size(), dataset.name);
  check(!patterns.empty(), "[evaluate_code] no pattern to simulate");
  NoGradGuard no_grad;
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

    const auto decoded = classes_of(lost.decoded);
    const auto wanted = argmax(lost.target).to_vector<std::int64_t>();
    const auto labels = lost.labels.to_vector<std::int64_t>();
    std::size_t row = 0;  // in the order group, pattern, unit
    for (std::int64_t g = 0; g < G; ++g)
      for (PatternScore& pattern : score.patterns)
        for (std::size_t unit = 0; unit < pattern.pattern.lost_data(k).size(); ++unit, ++row) {
          ++pattern.rows;
          pattern.recovered += decoded[row] == wanted[row];
          pattern.correct += decoded[row] == labels[row];
        }
    const auto answered = argmax(outputs).to_vector<std::int64_t>();
    const auto truth = batch.labels.to_vector<std::int64_t>();
    for (std::size_t i = 0; i < truth.size(); ++i) right += answered[i] == truth[i];
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
  const auto best = classes_of(outputs);
  const auto truth = labels.to_vector<std::int64_t>();
  std::int64_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += best[i] == truth[i];
  return static_cast<double>(right) / static_cast<double>(truth.size());
}

}  // namespace understudy
