// Optimisers with PyTorch's exact semantics; each step is one fused pass over all parameters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Updates every parameter that has a gradient; frozen ones are left alone. This is prepare_step()
  // and apply_step().
  void step();
  // The two halves of step(), for work that is recorded and repeated (engine/repeated_step.h). The
  // first is for the host, before each run: it counts the step and brings its values (learning rate,
  // bias corrections) to the device, for those parameters that the step before updated. The second
  // belongs to the work. Done eagerly, it sees which parameters have gradients, and puts right what
  // was prepared for others; recorded, it goes on to update those of the day of the recording. Each
  // prepare_step() is for one run that succeeds: after one that threw, the step has been counted.
  void prepare_step();
  void apply_step();
  void clear_gradients();
  double lr() const { return lr_; }
  void set_lr(double lr);  // UsageError when it is negative or not finite
  const std::vector<NamedTensor>& parameters() const { return parameters_; }

  // For checkpoints, with PyTorch's words: "lr", for each parameter "<path>.step" (i64, how often
  // it was updated) and, once that is above 0, its moments: "<path>.momentum_buffer" for SGD with
  // momentum, "<path>.exp_avg" and "<path>.exp_avg_sq" for Adam. The moments share live elements.
  std::vector<NamedTensor> state_dict() const;
  // Copies values in. Error that lists every missing, unexpected and misshapen tensor;
  // nothing is changed then.
  void load_state_dict(const std::vector<NamedTensor>& state);

 protected:
  static constexpr int max_moments = 2;
  struct Slot {
    void* parameter;
    const void* gradient;
    void* moment[max_moments];  // null beyond the optimiser's own
    std::int64_t count;
  };

  // `moments` names the running tensors kept for each parameter. Error for parameters that are
  // none, repeated, strided, or of different dtypes or devices.
  Optimizer(std::vector<NamedTensor> parameters, double lr, std::vector<std::string> moments);
  // The values of update number `step`, 1 for the first one of these parameters, whose moments are 0
  // then: an SgdStep or an AdamStep, until the next call.
  virtual std::span<const std::byte> values(std::int64_t step) = 0;
  // One fused pass with `values` in the device's memory.
  virtual void update(DType dtype, Device device, std::span<const Slot> slots,
                      const void* values) = 0;

 private:
  // Counted for each parameter, as PyTorch does: one that is frozen for a while falls behind.
  struct State {
    std::int64_t step = 0;
    Tensor moment[max_moments];  // undefined until the first update
  };
  // Parameters that were updated equally often: nearly always all of them.
  using Pass = std::vector<std::size_t>;
  // Sorts `active_` into passes.
  void make_passes();
  // The parameter, its gradient and its state as an update sees them; `hold` keeps a gradient that
  // had to be made dense alive.
  Slot make_slot(std::size_t index, std::vector<Tensor>& hold);

  std::vector<NamedTensor> parameters_;
  double lr_ = 0;
  std::vector<std::string> moments_;
  std::vector<State> states_;
  std::vector<std::size_t> active_;  // the parameters that the last step updated
  std::vector<Pass> passes_;         // the same
  std::vector<Tensor> values_;       // of each pass, bytes on the device; never moved or dropped
  bool prepared_ = false;            // counted, and not applied since by the host
  // Scratch of apply_step(), kept so that a steady step allocates nothing.
  std::vector<std::size_t> with_gradient_;
  std::vector<Slot> slots_;
  std::vector<Tensor> hold_;
};

// The update rules stand at SgdStep and AdamStep (kernels/update_rules.h). The defaults are PyTorch's.
struct SgdOptions {
  double lr = 0.01, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
};
struct AdamOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;  // AdamW: the weights decay beside the gradient step
};
// PyTorch's default weight decay for AdamW.
inline constexpr double adamw_weight_decay = 0.01;

// UsageError for values that cannot be: negative rates, betas outside [0, 1), Nesterov without
// momentum or with dampening.
std::unique_ptr<Optimizer> make_sgd(std::vector<NamedTensor> parameters,
                                    const SgdOptions& options = {});
std::unique_ptr<Optimizer> make_adam(std::vector<NamedTensor> parameters,
                                     const AdamOptions& options = {});
// Decoupled whatever `options` says; the weight decay is the one given there.
std::unique_ptr<Optimizer> make_adamw(std::vector<NamedTensor> parameters,
                                      AdamOptions options = {.weight_decay = adamw_weight_decay});

// Scales all gradients by min(1, limit / (norm + 1e-6)), with the joint 2-norm of all gradients, as
// PyTorch does; returns the norm before, f64 () on their device, so that nothing is read and the
// work can be recorded. A norm that is not finite spoils every gradient: check it.
Tensor clip_gradient_norm(const std::vector<NamedTensor>& parameters, double limit);

}  // namespace understudy
