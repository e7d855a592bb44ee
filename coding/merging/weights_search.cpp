#include "coding/merging/weights_search.h"

#include <algorithm>
#include <cmath>

#include "coding/merging/evaluation.h"
#include "kernels/check.h"

namespace understudy {

WeightsSearch search_weights(const MergeProblem& problem, const std::string& recipe, Module& merged,
                             const std::vector<const Dataset*>& validation, int most_tries) {
  check(most_tries >= 1, "[search_weights] {} tries: expected 1 at least", most_tries);
  const std::size_t n = problem.models.size();
  const DecodingBench bench(problem.models, validation);
  MergeProblem work = problem;
  // Aligned models have other Fishers than those of the problem.
  if (has_method(recipe, "coin") && !has_method(recipe, "rebasin"))
    work.fishers = fishers_of(problem);

  WeightsSearch search;
  const auto attempt = [&](const std::vector<double>& log_weights) {
    std::vector<double> weights;
    for (const double value : log_weights) weights.push_back(std::exp(value));
    work.weights = normalized_weights(weights, n);
    merge(work, recipe, merged);
    const DecodingScore score = bench.score({&merged}, {work.weights});
    search.tries.push_back({work.weights, score.worst_decoded_error});
    return score.worst_decoded_error;
  };
  const auto left = [&] { return static_cast<int>(search.tries.size()) < most_tries; };

  std::vector<double> at(n, 0.0);
  double error = attempt(at);
  constexpr double first_step = 0.4, last_step = 0.04;  // of log β
  for (double step = first_step; step >= last_step && left();) {
    bool better = false;
    for (std::size_t i = 0; i < n && left(); ++i)
      for (const double direction : {step, -step}) {
        if (!left()) break;
        std::vector<double> there = at;
        there[i] += direction;
        const double value = attempt(there);
        if (!(value < error)) continue;
        at = there;
        error = value;
        better = true;
        break;
      }
    if (!better) step /= 2;
  }
  search.best = *std::min_element(search.tries.begin(), search.tries.end(),
                                  [](const WeightsTry& a, const WeightsTry& b) {
                                    return a.worst_decoded_error < b.worst_decoded_error;
                                  });
  return search;
}

}  // namespace understudy
