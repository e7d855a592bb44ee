// Codes over models: n networks of one architecture become one that answers nearly Σ β_i f_i(x), so
// that it can stand in for any one of them that is late (arXiv 2409.01420).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coding/merging/distillation.h"
#include "coding/merging/fisher.h"
#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

// Everything that a method may look at. Borrows the models; never writes them.
struct MergeProblem {
  std::vector<Module*> models;  // n >= 2, of one architecture
  std::vector<double> weights;  // β_i >= 0, Σ β_i = 1
  std::vector<Tensor> points;   // n: task i's inputs (P_i, ...); none for methods without data
  std::vector<Tensor> labels;   // n: their classes, i64 (P_i), for the empirical Fisher alone
  Module* start = nullptr;      // what all models were trained from, where that is known

  // COIN, RegMean, K-FAC: what is measured of model i, on the points of its own task or of all.
  bool pooled = false;
  FisherOptions fisher;
  double damping = 0;                             // added to every F_i
  std::vector<std::vector<NamedTensor>> fishers;  // F_i where known already; empty: from the points
  // Of K-FAC: added to the diagonal of both factors, relative to its mean. Without it directions of
  // which hardly any model knows anything are set by what remains of them: 21 where 89 % are
  // reached (MLP pair of MNIST and Fashion-MNIST).
  double kfac_damping = 0.3;
  double off_diagonal = 0.9;  // of RegMean: what the off-diagonal of a Gram matrix is scaled by
  double ties_density = 0.2, ties_scale = 1;  // of TIES: the share of changes kept; λ
  // Of the fits in closed form: ridge towards what is there, relative to the mean square of an input.
  double ridge = 1e-3;
  DistillationOptions distillation;
  std::uint64_t seed = 0;  // of the order in which alignment visits layers
};

// What a method must be given beside the models.
struct MergeNeeds {
  bool points = false;     // inputs of every task
  bool labels = false;     // their classes: never by the method, for the empirical Fisher alone
  bool gradients = false;  // of the models, at those points
  bool start = false;      // the common initialisation
};
std::string to_string(const MergeNeeds& needs);  // for people: "points, gradients"

// Error that names the first models and tensors that differ in number, name or shape.
void check_same_architecture(const std::vector<Module*>& models,
                             const std::vector<std::string>& names = {});
// Weights that are not negative, scaled to sum 1: a merge does not see their common factor.
// UsageError otherwise. Equal ones where there are none.
std::vector<double> normalized_weights(std::vector<double> weights, std::size_t models);

// What a recipe works on: its own copy of the problem, whose models a step may replace by others
// that it makes and leaves here.
struct MergeWork : MergeProblem {
  std::vector<std::unique_ptr<Module>> made;
};

// A method changes `merged`, which has been made the plain average, or what the method before it
// left; or the models of the methods after it.
struct MergeMethod {
  // prepares: changes the models, before any other; replaces: looks at the models alone, whatever a
  // method before it did would be lost; improves: goes on from what is there.
  enum class Place { prepares, replaces, improves };

  std::string name;     // "coin"
  std::string summary;  // a line for people
  MergeNeeds needs;
  Place place;
  // Batch norm is not measured again behind it: the method trained with the statistics that were
  // there, or it changes nothing before a batch norm.
  bool keeps_statistics;
  void (*apply)(MergeWork& work, Module& merged);
};
const std::vector<MergeMethod>& merge_methods();
std::vector<std::string> merge_method_names();

// A recipe: methods joined by '+', from left to right, after the plain average: "average", "coin",
// "coin+refit", "rebasin+coin". Batch norm's running statistics are measured anew on the points of
// all tasks before a method that runs the merged network, and at the end; without points they stay
// the average. UsageError for an unknown, empty or repeated method, and for one that would undo the
// method before it ("refit+coin"); Error for a problem that is not one, and for a `merged` that is
// one of the models.
void merge(const MergeProblem& problem, const std::string& recipe, Module& merged);
// The UsageError of merge(), before any work is done.
void check_recipe(const std::string& recipe);
// UsageError for a recipe that models like `model` are not fit for, such as COIN where the Fisher
// information of a layer is not known.
void check_recipe(const std::string& recipe, Module& model);
MergeNeeds needs_of(const std::string& recipe);
// Whether the recipe has that method.
bool has_method(const std::string& recipe, const std::string& method);

// ---- the methods ----
// θ = Σ β_i θ_i, buffers too.
void average_models(const MergeProblem& problem, Module& merged);
// COIN: θ[j] = Σ β_i F_i[j] θ_i[j] / Σ β_i F_i[j]; the average where Σ β_i F_i[j] is not above 1e-6
// of its mean over the tensor, because nothing is known there. With damping > 0 no Σ β_i F_i[j] is
// small, and that hardly ever happens: the damping itself pulls towards the average.
void coin_merge(const MergeProblem& problem, Module& merged);
// The F_i of the problem: those given, or computed on own or pooled points.
std::vector<std::vector<NamedTensor>> fishers_of(const MergeProblem& problem);

// RegMean (Jin, Ren, Preotiuc-Pietro and Cheng 2023), for each linear layer, the bias as a weight
// of an input 1: W = Σ β_i W_i G̃_i · (Σ β_i G̃_i)^{-1}, G_i = X_iᵀX_i / P of model i's inputs to the
// layer, G̃_i with the off-diagonal scaled. What is no linear layer is averaged, as published.
void regmean_merge(const MergeProblem& problem, Module& merged);
// The same for convolutions too, X_i being their windows.
void regmean_convolution_merge(const MergeProblem& problem, Module& merged);
// Minimises Σ β_i tr(B_i (W − W_i) A_i (W − W_i)ᵀ) for each layer by conjugate gradients from the
// average: the Fisher information as a Kronecker product A_i ⊗ B_i (Martens and Grosse 2015; for
// convolutions Grosse and Martens 2016), A_i of the inputs, B_i of the output gradients, both
// damped. What is neither linear nor a convolution is averaged.
void kfac_merge(const MergeProblem& problem, Module& merged);
// Keeps the body and solves the last linear layer, bias included, for Σ β_i f_i(x) on all points:
// ridge regression in closed form.
void refit_last_layer(const MergeProblem& problem, Module& merged);
// Ours: refits every layer in the order in which they run. On the points of task i the layer, fed
// by the merged layers before it, is to give what model i's gives fed by model i's: ridge
// regression in closed form, towards the weights that are there. The last layer as refit.
void refit_all_layers(const MergeProblem& problem, Module& merged);

}  // namespace understudy
