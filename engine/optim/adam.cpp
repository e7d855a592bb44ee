#include <cmath>

#include "engine/optim/optimizer.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// The rule is at AdamStep (kernels/update_rules.h): exp_avg is m, exp_avg_sq is v.
class Adam final : public Optimizer {
 public:
  Adam(std::vector<NamedTensor> parameters, const AdamOptions& options)
      : Optimizer(std::move(parameters), options.lr, {"exp_avg", "exp_avg_sq"}),
        options_(options) {}

 private:
  std::span<const std::byte> values(std::int64_t step) override {
    const double t = static_cast<double>(step);
    values_ = {.lr = lr(),
               .beta1 = options_.beta1,
               .beta2 = options_.beta2,
               .eps = options_.eps,
               .weight_decay = options_.weight_decay,
               .correction1 = 1 - std::pow(options_.beta1, t),
               .correction2 = 1 - std::pow(options_.beta2, t),
               .decoupled = options_.decoupled};
    return std::as_bytes(std::span(&values_, 1));
  }
  void update(DType dtype, Device device, std::span<const Slot> slots,
              const void* values) override {
    slots_.clear();
    for (const Slot& s : slots)
      slots_.push_back({s.parameter, s.gradient, s.moment[0], s.moment[1], s.count});
    backend(device).adam(dtype, slots_, static_cast<const AdamStep*>(values));
  }

  AdamOptions options_;
  AdamStep values_ = {};
  std::vector<AdamSlot> slots_;  // scratch
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(std::vector<NamedTensor> parameters,
                                     const AdamOptions& options) {
  const auto require = [](bool holds, const std::string& text) {
    if (!holds) throw UsageError("[adam] " + text);
  };
  require(options.beta1 >= 0 && options.beta1 < 1,
          fmt::format("beta1 {}: must be in [0, 1)", options.beta1));
  require(options.beta2 >= 0 && options.beta2 < 1,
          fmt::format("beta2 {}: must be in [0, 1)", options.beta2));
  require(options.eps >= 0, fmt::format("eps {}: must be at least 0", options.eps));
  require(options.weight_decay >= 0,
          fmt::format("weight decay {}: must be at least 0", options.weight_decay));
  return std::make_unique<Adam>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_adamw(std::vector<NamedTensor> parameters, AdamOptions options) {
  options.decoupled = true;
  return make_adam(std::move(parameters), options);
}

}  // namespace understudy
