#include "coding/losses.h"

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

CodeLoss code_loss_named(const std::string& name) {
  if (name == "mse") return CodeLoss::mse_base;
  if (name == "kl") return CodeLoss::kl_base;
  if (name == "xent") return CodeLoss::xent_label;
  throw UsageError(fmt::format("unknown loss \"{}\"; there are: mse, kl, xent", name));
}

const char* to_string(CodeLoss loss) {
  switch (loss) {
    case CodeLoss::mse_base:
      return "mse";
    case CodeLoss::kl_base:
      return "kl";
    case CodeLoss::xent_label:
      return "xent";
  }
  return "";
}

Tensor code_loss(CodeLoss loss, const Tensor& decoded, const Tensor& base_outputs,
                 const Tensor& labels) {
  check(decoded.rank() == 2 && decoded.shape() == base_outputs.shape(),
        "[code_loss] decoded {} and the base model's outputs {} should both be (L,C)",
        to_string(decoded.shape()), to_string(base_outputs.shape()));
  check(decoded.size(0) > 0, "[code_loss] no unavailable row to average over");
  switch (loss) {
    case CodeLoss::mse_base:
      return scale(mse(decoded, base_outputs.detach(), Average::sum),
                   1.0 / static_cast<double>(decoded.size(0)));
    case CodeLoss::kl_base:
      return kl_divergence(decoded, base_outputs.detach(), Average::mean);
    case CodeLoss::xent_label:
      return cross_entropy(decoded, labels, Average::mean);
  }
  fail("[code_loss] unknown loss");
}

}  // namespace understudy
