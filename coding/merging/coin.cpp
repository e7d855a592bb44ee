// COIN: an average of the weights, each as heavy as the Fisher information of its model says.
#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

std::vector<std::vector<NamedTensor>> fishers_of(const MergeProblem& problem) {
  if (!problem.fishers.empty()) {
    check(problem.fishers.size() == problem.models.size(), "[merge] {} Fishers for {} models",
          problem.fishers.size(), problem.models.size());
    return problem.fishers;
  }
  check(problem.points.size() == problem.models.size(),
        "[merge] COIN needs points of every task: {} for {} models", problem.points.size(),
        problem.models.size());
  const bool labels = problem.fisher.kind == FisherKind::empirical;
  check(!labels || problem.labels.size() == problem.models.size(),
        "[merge] the empirical Fisher needs labels of every task: {} for {} models",
        problem.labels.size(), problem.models.size());
  const Tensor all = problem.pooled ? concat(problem.points, 0) : Tensor();
  const Tensor all_labels = problem.pooled && labels ? concat(problem.labels, 0) : Tensor();
  std::vector<std::vector<NamedTensor>> fishers;
  for (std::size_t i = 0; i < problem.models.size(); ++i)
    fishers.push_back(problem.pooled
                          ? diagonal_fisher(*problem.models[i], all, problem.fisher, all_labels)
                          : diagonal_fisher(*problem.models[i], problem.points[i], problem.fisher,
                                            labels ? problem.labels[i] : Tensor()));
  return fishers;
}

void coin_merge(const MergeProblem& problem, Module& merged) {
  const std::vector<std::vector<NamedTensor>> fishers = fishers_of(problem);
  NoGradGuard no_grad;
  const std::size_t n = problem.models.size();
  std::vector<std::vector<NamedTensor>> parameters;
  for (Module* model : problem.models) parameters.push_back(model->named_parameters());
  std::vector<NamedTensor> target = merged.named_parameters();
  for (std::size_t t = 0; t < target.size(); ++t) {
    Tensor weighted, mass, average;  // Σ β F θ, Σ β F, Σ β θ
    for (std::size_t i = 0; i < n; ++i) {
      check(t < fishers[i].size() && fishers[i][t].name == target[t].name &&
                fishers[i][t].tensor.shape() == target[t].tensor.shape(),
            "[coin] the Fisher of model {} does not fit: expected \"{}\" {} at place {}", i + 1,
            target[t].name, to_string(target[t].tensor.shape()), t);
      const Tensor theta = cast(parameters[i][t].tensor, DType::f64);
      const Tensor fisher =
          scale(shift(cast(fishers[i][t].tensor, DType::f64), problem.damping), problem.weights[i]);
      const Tensor part = scale(theta, problem.weights[i]);
      weighted = i == 0 ? fisher * theta : weighted + fisher * theta;
      mass = i == 0 ? fisher : mass + fisher;
      average = i == 0 ? part : average + part;
    }
    const Tensor known = greater(mass, scale(mean(mass), 1e-6));
    target[t].tensor.detach().copy_(where(known, weighted / mass, average));
  }
}

}  // namespace understudy
