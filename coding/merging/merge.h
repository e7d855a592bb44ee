// Codes over models: n networks of one architecture become one that answers nearly Σ β_i f_i(x), so
// that it can stand in for any one of them that is late (arXiv 2409.01420).
#pragma once

#include <string>
#include <vector>

#include "coding/merging/fisher.h"
#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

// Everything that a method may look at. Borrows the models; never writes them.
struct MergeProblem {
  std::vector<Module*> models;  // n >= 2, of one architecture
  std::vector<double> weights;  // β_i > 0, Σ β_i = 1
  std::vector<Tensor> points;   // n: task i's inputs (P_i, ...); none for methods without data

  FisherKind fisher_kind = FisherKind::gaussian;
  bool pooled = false;  // every F_i on the points of all tasks, not on task i's own
  double damping = 0;   // added to every F_i
  std::vector<std::vector<NamedTensor>> fishers;  // F_i where known already; empty: from the points
  // Refit: ridge, relative to the mean square of a feature, towards the merged last layer.
  double ridge = 1e-3;
};

// Error that names the first models and tensors that differ in number, name or shape.
void check_same_architecture(const std::vector<Module*>& models,
                             const std::vector<std::string>& names = {});
// Positive weights scaled to sum 1: a merge does not see their common factor. UsageError otherwise.
std::vector<double> normalized_weights(std::vector<double> weights, std::size_t models);

// A method changes `merged`, which has been made the plain average, or what the
// method before it left.
struct MergeMethod {
  std::string name;   // "coin"
  std::string needs;  // for people: "inputs of every task (no labels), gradients"
  bool needs_points;
  bool replaces;  // looks at the models alone: whatever a method before it did would be lost
  void (*apply)(const MergeProblem& problem, Module& merged);
};
const std::vector<MergeMethod>& merge_methods();  // average, coin, refit

// Methods joined by '+', from left to right, after the plain average: "average", "coin", "refit",
// "coin+refit". UsageError for an unknown, empty or repeated method, and for one that would undo the
// method before it ("refit+coin"); Error for a problem that is not one.
void merge(const MergeProblem& problem, const std::string& recipe, Module& merged);
// The UsageError of merge(), before any work is done.
void check_recipe(const std::string& recipe);
// UsageError for a recipe that models like `model` are not fit for: COIN needs the Fisher
// information of every layer.
void check_recipe(const std::string& recipe, Module& model);

// ---- the methods ----
// θ = Σ β_i θ_i, buffers too.
void average_models(const MergeProblem& problem, Module& merged);
// COIN: θ[j] = Σ β_i F_i[j] θ_i[j] / Σ β_i F_i[j]; the average where Σ β_i F_i[j] is not above 1e-6
// of its mean over the tensor, because nothing is known there. With damping > 0 no Σ β_i F_i[j] is
// small, and that hardly ever happens: the damping itself pulls towards the average.
void coin_merge(const MergeProblem& problem, Module& merged);
// Keeps the body and solves the last linear layer, bias included, for Σ β_i f_i(x) on all points:
// ridge regression in closed form.
void refit_last_layer(const MergeProblem& problem, Module& merged);

}  // namespace understudy
