#include "coding/merging/merge.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

std::vector<std::string> split_recipe(const std::string& recipe) {
  std::vector<std::string> steps;
  for (std::size_t begin = 0; begin <= recipe.size();) {
    const std::size_t plus = std::min(recipe.find('+', begin), recipe.size());
    steps.push_back(recipe.substr(begin, plus - begin));
    begin = plus + 1;
  }
  return steps;
}

const MergeMethod& method_named(const std::string& name) {
  std::vector<std::string> known;
  for (const MergeMethod& method : merge_methods()) {
    if (method.name == name) return method;
    known.push_back(method.name);
  }
  throw UsageError(
      fmt::format("unknown merge method \"{}\"; there are: {}, and chains such as coin+refit", name,
                  fmt::join(known, ", ")));
}

void check_problem(const MergeProblem& problem, bool needs_points) {
  const std::size_t n = problem.models.size();
  check_same_architecture(problem.models);
  double total = 0;
  for (double weight : problem.weights) total += weight;
  check(problem.weights.size() == n && std::abs(total - 1) < 1e-6,
        "[merge] {} weights of sum {} for {} models; expected one each, of sum 1",
        problem.weights.size(), total, n);
  check(!needs_points || problem.points.size() == n || !problem.fishers.empty(),
        "[merge] points of {} tasks for {} models", problem.points.size(), n);
}

// The F_i of the problem: given, or computed on own or pooled points.
std::vector<std::vector<NamedTensor>> fishers_of(const MergeProblem& problem) {
  if (!problem.fishers.empty()) {
    check(problem.fishers.size() == problem.models.size(), "[merge] {} Fishers for {} models",
          problem.fishers.size(), problem.models.size());
    return problem.fishers;
  }
  check(problem.points.size() == problem.models.size(),
        "[merge] COIN needs points of every task: {} for {} models", problem.points.size(),
        problem.models.size());
  std::vector<std::vector<NamedTensor>> fishers;
  const Tensor all = problem.pooled ? concat(problem.points, 0) : Tensor();
  for (std::size_t i = 0; i < problem.models.size(); ++i)
    fishers.push_back(diagonal_fisher(*problem.models[i], problem.pooled ? all : problem.points[i],
                                      problem.fisher_kind));
  return fishers;
}

}  // namespace

void check_same_architecture(const std::vector<Module*>& models,
                             const std::vector<std::string>& names) {
  check(models.size() >= 2, "[merge] {} model; a merge needs at least 2", models.size());
  const auto name = [&](std::size_t i) {
    return i < names.size() ? names[i] : fmt::format("model {}", i + 1);
  };
  const std::vector<NamedTensor> first = models[0]->state_dict();
  for (std::size_t i = 1; i < models.size(); ++i) {
    std::vector<std::string> faults;
    const std::vector<NamedTensor> other = models[i]->state_dict();
    const auto find = [](const std::vector<NamedTensor>& state, const std::string& path) {
      const auto at = std::find_if(state.begin(), state.end(),
                                   [&](const NamedTensor& named) { return named.name == path; });
      return at == state.end() ? nullptr : &at->tensor;
    };
    for (const NamedTensor& named : first) {
      const Tensor* same = find(other, named.name);
      if (!same)
        faults.push_back(fmt::format("\"{}\" is only in {}", named.name, name(0)));
      else if (same->shape() != named.tensor.shape())
        faults.push_back(fmt::format("\"{}\" is {} in {} and {} in {}", named.name,
                                     to_string(named.tensor.shape()), name(0),
                                     to_string(same->shape()), name(i)));
    }
    for (const NamedTensor& named : other)
      if (!find(first, named.name))
        faults.push_back(fmt::format("\"{}\" is only in {}", named.name, name(i)));
    check(faults.empty(), "models of one architecture are needed, but {}", fmt::join(faults, "; "));
  }
}

std::vector<double> normalized_weights(std::vector<double> weights, std::size_t models) {
  if (weights.empty()) weights.assign(models, 1);
  if (weights.size() != models)
    throw UsageError(fmt::format("{} weights for {} models", weights.size(), models));
  double total = 0;
  for (double weight : weights) {
    if (!(weight > 0) || !std::isfinite(weight))
      throw UsageError(fmt::format("weights are positive numbers; got {}", weight));
    total += weight;
  }
  for (double& weight : weights) weight /= total;
  return weights;
}

const std::vector<MergeMethod>& merge_methods() {
  static const std::vector<MergeMethod> methods = {
      {"average", "nothing but the models", false, true, average_models},
      {"coin", "inputs of every task (no labels), gradients", true, true, coin_merge},
      {"refit", "inputs of every task (no labels)", true, false, refit_last_layer},
  };
  return methods;
}

void check_recipe(const std::string& recipe) {
  const std::vector<std::string> steps = split_recipe(recipe);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].empty())
      throw UsageError(fmt::format("merge method \"{}\": a step of it is empty", recipe));
    const MergeMethod& method = method_named(steps[i]);
    if (std::count(steps.begin(), steps.end(), steps[i]) > 1)
      throw UsageError(fmt::format("merge method \"{}\": {} is there twice", recipe, steps[i]));
    if (i > 0 && method.replaces)
      throw UsageError(
          fmt::format("merge method \"{}\": {} starts from the models alone and would "
                      "undo {}; it comes first or not at all",
                      recipe, steps[i], steps[i - 1]));
  }
}

void check_recipe(const std::string& recipe, Module& model) {
  check_recipe(recipe);
  for (const std::string& step : split_recipe(recipe)) {
    if (method_named(step).apply != coin_merge) continue;
    try {
      check_fisher(model);
    } catch (const Error& e) {
      throw UsageError(fmt::format("merge method \"{}\": {}; \"average\" and \"refit\" need none",
                                   recipe, e.what()));
    }
  }
}

void merge(const MergeProblem& problem, const std::string& recipe, Module& merged) {
  check_recipe(recipe);
  const std::vector<std::string> steps = split_recipe(recipe);
  bool needs_points = false;
  for (const std::string& step : steps) needs_points |= method_named(step).needs_points;
  check_problem(problem, needs_points);
  average_models(problem, merged);
  for (const std::string& step : steps)
    if (step != "average") method_named(step).apply(problem, merged);
}

void average_models(const MergeProblem& problem, Module& merged) {
  NoGradGuard no_grad;
  std::vector<NamedTensor> state = problem.models[0]->state_dict();
  for (NamedTensor& named : state) named.tensor = Tensor();
  for (std::size_t i = 0; i < problem.models.size(); ++i) {
    const std::vector<NamedTensor> own = problem.models[i]->state_dict();
    for (std::size_t t = 0; t < own.size(); ++t) {
      if (!is_floating(own[t].tensor.dtype())) {  // a count, such as batches seen
        if (i == 0) state[t].tensor = own[t].tensor;
        continue;
      }
      const Tensor part = scale(cast(own[t].tensor, DType::f64), problem.weights[i]);
      state[t].tensor = i == 0 ? part : state[t].tensor + part;
    }
  }
  merged.load_state_dict(state);
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
