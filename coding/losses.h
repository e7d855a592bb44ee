// What a code that is trained minimises (arXiv 1806.01259).
#pragma once

#include <string>

#include "engine/tensor.h"

namespace understudy {

enum class CodeLoss {
  mse_base,    // "mse":  Σ_c (decoded − F(x))², averaged over the unavailable rows
  kl_base,     // "kl":   KL(softmax F(x) ‖ softmax decoded), averaged over them
  xent_label,  // "xent": −log softmax(decoded)[label], averaged over them
};
CodeLoss code_loss_named(const std::string& name);  // UsageError for an unknown one
const char* to_string(CodeLoss loss);

// decoded (L, C), base_outputs (L, C) = F(x), labels i64 (L): the L unavailable rows. Returns ().
// Gradients flow to `decoded` alone. Error when L = 0.
Tensor code_loss(CodeLoss loss, const Tensor& decoded, const Tensor& base_outputs,
                 const Tensor& labels);

}  // namespace understudy
