// Fisher information of a network's parameters: how much each matters to the outputs
// (COIN, arXiv 2409.01420).
#pragma once

#include <vector>

#include "coding/merging/fisher_kind.h"
#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

// The exact diagonal, per sample: a tensor for each parameter of `model`, in the order, with the
// names, shapes and dtype of named_parameters(). `inputs` (P, ...) is what the model takes,
// evaluated in evaluation mode; `labels` i64 (P) are for the empirical kind alone.
//
// Costs one forward pass over the points and, for each class (gaussian, classification) or once
// (sampled, empirical), a backward pass with the squares of the sample's gradients
// (coding/merging/layer_fisher.h). No gradient of the whole network is ever held.
//
// Error that names the parameters of layers that are not known or that the forward pass does not
// run, and those of for_each_output_gradient (coding/merging/output_gradients.h).
std::vector<NamedTensor> diagonal_fisher(Module& model, const Tensor& inputs,
                                         const FisherOptions& options = {},
                                         const Tensor& labels = {});

// That diagonal_fisher knows every layer of `model`: the same Error otherwise, before any work.
void check_fisher(Module& model);

}  // namespace understudy
