// Batch norm as a layer, with running statistics as in PyTorch.
#pragma once

#include <functional>
#include <optional>

#include "engine/nn/module.h"
#include "engine/ops.h"

namespace understudy {

// weight · (x - mean) / √(variance + eps) + bias for each channel, the last axis of x. In training
// mode mean and variance are those of x, and gradients flow through them; running_mean and
// running_var move towards them: running = (1 - momentum) · running + momentum · batch, the
// variance unbiased. In evaluation mode the running ones are used.
struct BatchNorm : Module {
  struct Options {
    double eps = 1e-5;
    std::optional<double> momentum = 0.1;  // none: the average over all batches so far
  };
  BatchNorm(std::int64_t channels, const Options& options);
  explicit BatchNorm(std::int64_t channels) : BatchNorm(channels, Options{}) {}

  std::int64_t channels() const { return weight.size(0); }
  Tensor forward(const Tensor& x) override { return normalize(x, {}, Activation::none); }
  // activation(forward(x) + residual) in one op; `residual` may be undefined. Error in training
  // mode where a channel has one value only, whose variance says nothing.
  Tensor normalize(const Tensor& x, const Tensor& residual, Activation activation);
  // What it is in evaluation mode: scale · x + shift, (C) each, for conv2d_affine. No gradient.
  struct Affine {
    Tensor scale, shift;
  };
  Affine affine() const;
  // As if no batch had been seen.
  void reset_running_statistics();
  void members(Members& m) override;

  Tensor weight, bias;               // (C)
  Tensor running_mean, running_var;  // (C)
  Tensor num_batches_tracked;        // i64, ()
  double eps;
  std::optional<double> momentum;

 private:
  void track(const ChannelStatistics& batch, std::int64_t rows);
};

// Measures the running statistics of every BatchNorm in `network` anew, as averages over batches:
// runs the network, its batch norms in training mode, on each input that `next` returns until that
// is undefined. Modes and momenta are then as before. For networks whose weights were changed by
// other means than training, such as merged ones. Error when there is no batch.
void reestimate_batch_norm(Module& network, const std::function<Tensor()>& next);

}  // namespace understudy
