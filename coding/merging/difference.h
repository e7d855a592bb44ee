// What a merge has to reconcile: where the models know something, and how far apart they are.
#pragma once

#include <string>
#include <vector>

#include "engine/nn/module.h"

namespace understudy {

// Of one tensor of all models.
struct TensorDifference {
  std::string name;
  Shape shape;
  std::vector<double> size;          // ‖θ_i‖₂ of each model
  std::vector<double> from_start;    // ‖θ_i − θ_0‖₂; empty without a start
  std::vector<double> from_mean;     // ‖θ_i − mean of all‖₂
  std::vector<double> fisher_mass;   // Σ_j F_i[j], empty without Fishers
  std::vector<double> fisher_share;  // of the mass of all tensors of that model
  // Share of Σ_j F_i[j] (θ_i − mean)²[j] of all tensors: where COIN expects an average to hurt.
  std::vector<double> expected_error;
};

// A line for each parameter, in the order of named_parameters(). `start` may be null and `fishers`
// empty.
std::vector<TensorDifference> explain_difference(
    const std::vector<Module*>& models, Module* start,
    const std::vector<std::vector<NamedTensor>>& fishers);

}  // namespace understudy
