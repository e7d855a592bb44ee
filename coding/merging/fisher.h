// Fisher information of a network's parameters: how much each matters to the outputs
// (COIN, arXiv 2409.01420).
#pragma once

#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

enum class FisherKind {
  // p(y|x) = N(f(x), I): F = E_x Σ_c (∂f_c/∂θ)². Needs no labels. COIN's.
  gaussian,
  // p(y|x) = softmax(f(x)): F = E_x Σ_c p_c (∂ log p_c/∂θ)², the exact expectation over labels.
  classification,
};
FisherKind fisher_kind(const std::string& name);  // UsageError for an unknown one
const char* to_string(FisherKind kind);

// The exact diagonal, per sample: a tensor for each parameter of `model`, in the order, with the
// names, shapes and dtype of named_parameters(). `inputs` (P, ...) is what the model takes.
//
// Nothing is kept per sample. For a linear layer with inputs a (P, in) and output gradients δ (P,
// out) the gradient of a sample is the outer product δ aᵀ, so the sum of squares over a batch is
// one matrix product, (δ∘δ)ᵀ(a∘a); a does not depend on the class, so the classes are summed in δ∘δ
// before it. Costs C forward and backward passes over P samples.
//
// Layers are met through a LayerObserver, so any model of layers known here will do; another layer
// kind is one more LayerFisher in fisher.cpp. Error that names the parameters of layers that are
// not known, and for a layer that a forward pass uses twice or that shares a tensor with another.
std::vector<NamedTensor> diagonal_fisher(Module& model, const Tensor& inputs,
                                         FisherKind kind = FisherKind::gaussian,
                                         std::int64_t batch_size = 500);

// That diagonal_fisher knows every layer of `model`: the same Error otherwise, before any work.
void check_fisher(Module& model);

}  // namespace understudy
