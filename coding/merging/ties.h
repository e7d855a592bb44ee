// TIES (Yadav, Tam, Choshen, Raffel and Bansal 2023): what the models have changed since their
// common start, less what is small and what contradicts.
#pragma once

#include <vector>

#include "engine/nn/module.h"

namespace understudy {

// θ = θ_0 + λ·τ over the parameters, θ_0 those of `start`, λ = `scale`. Of each model's changes
// τ_i = θ_i - θ_0 only the share `density` that is largest in size is kept, counted over all its
// parameters together; among equal sizes the first in the order of named_parameters. The sign of
// τ[j] is that of Σ β_i τ_i[j], and τ[j] the mean, weighted by β_i = weights[i], of the kept
// changes of that sign; 0 where the sum is 0. Buffers are Σ β_i of the models', counts the first
// model's. UsageError unless 0 < density <= 1; Error for networks of different architectures and
// for changes that are not finite.
void ties_merge(const std::vector<Module*>& models, const std::vector<double>& weights,
                Module& start, double density, double scale, Module& merged);

}  // namespace understudy
