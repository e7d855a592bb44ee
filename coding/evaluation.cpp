#include "coding/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

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

double CodeScore::group_accuracy() const {
  if (!systematic) return overall_accuracy(1);
  // The lost worker has a data unit in k of k + r cases, and then one answer of k is rebuilt.
  const double rebuilt = 1.0 / shape.units();
  return (1 - rebuilt) * available_accuracy + rebuilt * overall_accuracy(1);
}

double CodeScore::accuracy_at(double unavailable) const {
  check(unavailable >= 0 && unavailable <= 1,
        "[accuracy_at] {} of the answers cannot be unavailable: a fraction is in [0, 1]",
        unavailable);
  return (1 - unavailable) * available_accuracy + unavailable * overall_accuracy();
}

std::vector<ErasurePattern> standard_patterns(const QueryCode& code) {
  return all_patterns(code.shape(), code.pattern_matters() ? code.most_losses() : 1,
                      /*data_only=*/code.systematic());
}

namespace {

// Largest softmax probability of each row of (N, classes); NaN in rows with NaN.
std::vector<double> confidences(const Tensor& outputs) {
  const Tensor best = max(outputs, 1, /*keep=*/true);
  return reciprocal(sum(exp(cast(outputs - best, DType::f64)), {1})).to_vector<double>();
}

// Adds up the scores of batches.
class Tally {
 public:
  Tally(const QueryCode& code, const std::vector<ErasurePattern>& patterns) : code_(code) {
    score_.shape = code.shape();
    score_.systematic = code.systematic();
    for (const ErasurePattern& pattern : patterns) score_.patterns.push_back({pattern});
  }

  void add(const GroupBatch& groups, const Reconstruction& lost) {
    const std::int64_t G = groups.groups.size(0), rows = G * code_.shape().k;
    const auto decoded = predicted_classes(lost.decoded);
    const auto wanted = predicted_classes(lost.target);
    const auto labels = lost.labels.to_vector<std::int64_t>();
    const auto confidence = confidences(lost.decoded);
    const auto errors =
        sum(square(cast(lost.decoded - lost.target, DType::f64)), {1}).to_vector<double>();
    std::size_t row = 0;  // in the order group, pattern, unit
    for (std::int64_t g = 0; g < G; ++g)
      for (PatternScore& pattern : score_.patterns)
        for (int unit = 0; unit < reconstructed_rows(code_, pattern.pattern); ++unit, ++row) {
          const bool correct = agree(decoded[row], labels[row]);
          if (pattern.pattern.losses() == 0) {
            whole_right_ += correct;
            continue;
          }
          ++pattern.rows;
          pattern.recovered += agree(decoded[row], wanted[row]);
          pattern.correct += correct;
          score_.calibration.add(confidence[row], correct);
          score_.unrecovered += decoded[row] < 0;
          if (std::isnan(errors[row])) continue;  // nothing decoded, or nothing to compare with
          ++compared_;
          squared_error_ += errors[row];
        }
    model_right_ += count_agreeing(
        predicted_classes(reshape(groups.data_outputs, {rows, groups.data_outputs.size(2)})),
        reshape(groups.labels, {rows}).to_vector<std::int64_t>());
    score_.groups += G;
  }

  CodeScore score() {
    score_.images = score_.groups * code_.shape().k;
    const auto per_image = [&](std::int64_t right) {
      return static_cast<double>(right) / static_cast<double>(score_.images);
    };
    score_.model_accuracy = per_image(model_right_);
    score_.available_accuracy = per_image(code_.systematic() ? model_right_ : whole_right_);
    std::erase_if(score_.patterns,
                  [](const PatternScore& pattern) { return pattern.pattern.losses() == 0; });
    score_.squared_error = squared_error_ / static_cast<double>(compared_);
    return std::move(score_);
  }

 private:
  const QueryCode& code_;
  CodeScore score_;
  double squared_error_ = 0;
  std::int64_t compared_ = 0;
  std::int64_t model_right_ = 0;
  std::int64_t whole_right_ = 0;  // of decoded answers when no worker is missing
};

// So many groups that their answers under every pattern are a few million numbers.
std::int64_t groups_within_memory(const QueryCode& code, std::size_t patterns,
                                  std::int64_t classes) {
  const double numbers_per_group =
      static_cast<double>(patterns) * static_cast<double>(code.shape().units() * classes);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(2e6 / numbers_per_group), 1, 250);
}

}  // namespace

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
  // What is left of the answers when nobody is late is a question for codes that change them.
  std::vector<ErasurePattern> simulated = patterns;
  if (!code.systematic()) simulated.insert(simulated.begin(), ErasurePattern{});
  if (groups_per_batch == 0)
    groups_per_batch = groups_within_memory(code, simulated.size(), base_outputs.size(1));
  const Loader loader(dataset, {.batch_size = groups_per_batch * k, .shuffle = false, .group = k},
                      index);
  Tally tally(code, simulated);
  std::optional<Erasures> scenarios;
  for (std::int64_t b = 0; b < loader.batches(); ++b) {
    const Batch batch = loader.batch(b);
    const GroupBatch groups =
        as_groups(batch.images, gather_rows(base_outputs, batch.index), batch.labels, k);
    const std::int64_t G = groups.groups.size(0);
    if (!scenarios || scenarios->groups() != G * static_cast<std::int64_t>(simulated.size()))
      scenarios = Erasures::scenarios(code.shape(), simulated, G, code.most_losses(),
                                      batch.images.device());
    tally.add(groups, simulate_service(code, base, groups, *scenarios));
  }
  return tally.score();
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
