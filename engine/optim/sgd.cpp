#include "engine/optim/optimizer.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// The rule is at SgdStep (kernels/update_rules.h): momentum_buffer is b.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<NamedTensor> parameters, const SgdOptions& options)
      : Optimizer(std::move(parameters), options.lr,
                  options.momentum != 0 ? std::vector<std::string>{"momentum_buffer"}
                                        : std::vector<std::string>{}),
        options_(options) {}

 private:
  std::span<const std::byte> values(std::int64_t step) override {
    values_ = {.lr = lr(),
               .momentum = options_.momentum,
               .dampening = options_.dampening,
               .weight_decay = options_.weight_decay,
               .nesterov = options_.nesterov,
               .first = step == 1};
    return std::as_bytes(std::span(&values_, 1));
  }
  void update(DType dtype, Device device, std::span<const Slot> slots,
              const void* values) override {
    slots_.clear();
    for (const Slot& s : slots) slots_.push_back({s.parameter, s.gradient, s.moment[0], s.count});
    backend(device).sgd(dtype, slots_, static_cast<const SgdStep*>(values));
  }

  SgdOptions options_;
  SgdStep values_ = {};
  std::vector<SgdSlot> slots_;  // scratch
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(std::vector<NamedTensor> parameters,
                                    const SgdOptions& options) {
  const auto require = [](bool holds, const std::string& text) {
    if (!holds) throw UsageError("[sgd] " + text);
  };
  require(options.momentum >= 0, fmt::format("momentum {}: must be at least 0", options.momentum));
  require(options.weight_decay >= 0,
          fmt::format("weight decay {}: must be at least 0", options.weight_decay));
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
          fmt::format("Nesterov needs momentum above 0 and dampening 0, found {} and {}",
                      options.momentum, options.dampening));
  return std::make_unique<Sgd>(std::move(parameters), options);
}

}  // namespace understudy
