#include "coding/merging/merge.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "coding/merging/alignment.h"
#include "coding/merging/ties.h"
#include "engine/autograd.h"
#include "engine/nn/batch_norm.h"
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

void check_problem(const MergeProblem& problem, const std::string& recipe, const Module& merged) {
  const std::size_t n = problem.models.size();
  check_same_architecture(problem.models);
  double total = 0;
  for (double weight : problem.weights) {
    check(weight >= 0, "[merge] a weight is {}; expected numbers from 0 on", weight);
    total += weight;
  }
  check(problem.weights.size() == n && std::abs(total - 1) < 1e-6,
        "[merge] {} weights of sum {} for {} models; expected one each, of sum 1",
        problem.weights.size(), total, n);
  for (const Module* model : problem.models)
    check(model != &merged,
          "[merge] the merged network is one of the models, which stay as they are");
  for (const std::string& step : split_recipe(recipe)) {
    const MergeNeeds& needs = method_named(step).needs;
    const bool fishers_will_do = step == "coin" && !problem.fishers.empty();
    check(!needs.points || problem.points.size() == n || fishers_will_do,
          "[merge] {} needs points of every task: {} for {} models", step, problem.points.size(),
          n);
    check(!needs.start || problem.start,
          "[merge] {} needs the network that all models were trained from", step);
  }
}

// Batch norm's statistics belong to the weights that were: measured again with the merged ones, on
// the points of all tasks in turn.
void restore_batch_norm(const MergeProblem& problem, Module& merged) {
  if (problem.points.empty() || merged.named_buffers().empty()) return;
  // Batches of nearly one size, since each counts alike, with the same share of every task.
  constexpr std::int64_t most = 64;  // of a task in a batch
  std::int64_t batches = 1, next = 0;
  for (const Tensor& points : problem.points)
    batches = std::max(batches, (points.size(0) + most - 1) / most);
  reestimate_batch_norm(merged, [&] {
    if (next == batches) return Tensor();
    std::vector<Tensor> parts;
    for (const Tensor& points : problem.points)
      parts.push_back(
          slice(points, 0, points.size(0) * next / batches, points.size(0) * (next + 1) / batches));
    ++next;
    return concat(parts, 0);
  });
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
    if (!(weight >= 0) || !std::isfinite(weight))
      throw UsageError(fmt::format("weights are numbers from 0 on; got {}", weight));
    total += weight;
  }
  if (!(total > 0)) throw UsageError("weights are not all 0");
  for (double& weight : weights) weight /= total;
  return weights;
}

std::string to_string(const MergeNeeds& needs) {
  std::vector<std::string> words;
  if (needs.points) words.push_back("points");
  if (needs.labels) words.push_back("labels");
  if (needs.gradients) words.push_back("gradients");
  if (needs.start) words.push_back("start");
  return words.empty() ? "nothing" : fmt::format("{}", fmt::join(words, ", "));
}

const std::vector<MergeMethod>& merge_methods() {
  using enum MergeMethod::Place;
  // clang-format off
  static const std::vector<MergeMethod> methods = {
      {"rebasin", "permutes hidden units to those of the first model", {}, prepares, false,
       [](MergeWork& work, Module&) { align_models(work); }},
      {"average", "plain average of the weights", {}, replaces, false,
       [](MergeWork& work, Module& merged) { average_models(work, merged); }},
      {"ties", "changes since the start: trimmed, signs elected", {.start = true}, replaces, false,
       [](MergeWork& work, Module& merged) {
         ties_merge(work.models, work.weights, *work.start, work.ties_density, work.ties_scale,
                    merged);
       }},
      {"coin", "average weighted by the diagonal Fisher information",
       {.points = true, .gradients = true}, replaces, false,
       [](MergeWork& work, Module& merged) { coin_merge(work, merged); }},
      {"regmean", "least squares on the inputs of linear layers", {.points = true}, replaces, false,
       [](MergeWork& work, Module& merged) { regmean_merge(work, merged); }},
      {"regmean-conv", "the same for convolutions too", {.points = true}, replaces, false,
       [](MergeWork& work, Module& merged) { regmean_convolution_merge(work, merged); }},
      {"kfac", "average weighted by Kronecker-factored Fisher information",
       {.points = true, .gradients = true}, replaces, false,
       [](MergeWork& work, Module& merged) { kfac_merge(work, merged); }},
      {"sequential", "refits every layer in turn", {.points = true}, improves, false,
       [](MergeWork& work, Module& merged) { refit_all_layers(work, merged); }},
      {"refit", "refits the last layer", {.points = true}, improves, true,
       [](MergeWork& work, Module& merged) { refit_last_layer(work, merged); }},
      {"distill", "trains on the points", {.points = true, .gradients = true}, improves, true,
       [](MergeWork& work, Module& merged) { distill(work, merged); }},
  };
  // clang-format on
  return methods;
}

std::vector<std::string> merge_method_names() {
  std::vector<std::string> names;
  for (const MergeMethod& method : merge_methods()) names.push_back(method.name);
  return names;
}

void check_recipe(const std::string& recipe) {
  using enum MergeMethod::Place;
  const std::vector<std::string> steps = split_recipe(recipe);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].empty())
      throw UsageError(fmt::format("merge method \"{}\": a step of it is empty", recipe));
    const MergeMethod& method = method_named(steps[i]);
    if (std::count(steps.begin(), steps.end(), steps[i]) > 1)
      throw UsageError(fmt::format("merge method \"{}\": {} is there twice", recipe, steps[i]));
    if (i == 0) continue;
    if (method.place == prepares)
      throw UsageError(
          fmt::format("merge method \"{}\": {} changes the models for what comes "
                      "after it; it comes first or not at all",
                      recipe, steps[i]));
    if (method.place == replaces && method_named(steps[i - 1]).place != prepares)
      throw UsageError(
          fmt::format("merge method \"{}\": {} starts from the models alone and would "
                      "undo {}; it comes first or not at all",
                      recipe, steps[i], steps[i - 1]));
  }
}

void check_recipe(const std::string& recipe, Module& model) {
  check_recipe(recipe);
  try {
    if (has_method(recipe, "coin") || has_method(recipe, "kfac")) check_fisher(model);
    if (has_method(recipe, "rebasin")) permutation_spec(model);
  } catch (const Error& e) {
    throw UsageError(fmt::format(
        "merge method \"{}\": {}; \"average\" and \"refit\" take any network", recipe, e.what()));
  }
}

MergeNeeds needs_of(const std::string& recipe) {
  MergeNeeds all;
  for (const std::string& step : split_recipe(recipe)) {
    const MergeNeeds& needs = method_named(step).needs;
    all.points |= needs.points;
    all.labels |= needs.labels;
    all.gradients |= needs.gradients;
    all.start |= needs.start;
  }
  return all;
}

bool has_method(const std::string& recipe, const std::string& method) {
  const std::vector<std::string> steps = split_recipe(recipe);
  return std::find(steps.begin(), steps.end(), method) != steps.end();
}

void merge(const MergeProblem& problem, const std::string& recipe, Module& merged) {
  check_recipe(recipe);
  check_problem(problem, recipe, merged);
  MergeWork work{problem, {}};
  average_models(work, merged);
  bool measured = false;  // batch norm's statistics are those of the weights
  for (const std::string& step : split_recipe(recipe)) {
    const MergeMethod& method = method_named(step);
    if (method.place == MergeMethod::Place::improves && !measured) restore_batch_norm(work, merged);
    method.apply(work, merged);
    if (method.place == MergeMethod::Place::prepares) average_models(work, merged);
    measured = method.keeps_statistics;
  }
  if (!measured) restore_batch_norm(work, merged);
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

}  // namespace understudy
