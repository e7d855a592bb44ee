// Batch norm, with what often follows it: a residual and ReLU.
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

void check_channels(const char* op, const Tensor& x) {
  check(x.rank() >= 1 && is_floating(x.dtype()),
        "[{}] needs a floating tensor whose last axis is the channels, found {} of {}", op,
        x.dtype(), x.shape());
}

// One value per channel of x, dense.
Tensor per_channel(const char* what, const Tensor& v, const Tensor& x) {
  check(v.defined() && v.shape() == Shape{x.size(-1)} && v.dtype() == x.dtype() &&
            v.device() == x.device(),
        "[batch_norm] the {} must be {} of {} on {}, one value per channel of {}; found {}", what,
        Shape{x.size(-1)}, x.dtype(), x.device(), x.shape(),
        v.defined() ? fmt::format("{} of {} on {}", v.shape(), v.dtype(), v.device())
                    : "an undefined tensor");
  return contiguous(v);
}

struct BatchNormInputs {
  Saved x, weight, bias, mean, variance;
  Saved y;  // where it says what ReLU has let through, and x does not
  double eps;
  bool relu, of_input;

  Normalization normalization() const {
    return {.mean = mean.get("batch_norm").view(),
            .variance = variance.get("batch_norm").view(),
            .weight = weight.get("batch_norm").view(),
            .bias = bias.get("batch_norm").view(),
            .eps = eps,
            .relu = relu};
  }
};

// A gradient to be filled, and the pointer that asks for it.
struct GradientView {
  Tensor tensor;
  View view;
  const View* asked = nullptr;
  void ask(const Shape& shape, const Tensor& like) {
    tensor = Tensor::empty(shape, like.dtype(), like.device());
    view = tensor.mutable_view();
    asked = &view;
  }
};

Gradients batch_norm_backward(const BatchNormInputs& in, const Tensor& dout, Wanted wanted) {
  const Tensor& x = in.x.get("batch_norm");
  const Tensor& y = in.y.get("batch_norm");
  const Tensor dy = contiguous(dout);
  GradientView dx, dweight, dbias, dresidual;
  const Shape channels{x.size(-1)};
  if (wanted[0]) dx.ask(x.shape(), x);
  if (wanted[1]) dweight.ask(channels, x);
  if (wanted[2]) dbias.ask(channels, x);
  if (wanted[3] && in.relu) dresidual.ask(x.shape(), x);
  const ConstView y_view = y.defined() ? y.view() : ConstView();
  backend(x.device())
      .batch_norm_backward({.dx = dx.asked,
                            .dweight = dweight.asked,
                            .dbias = dbias.asked,
                            .dresidual = dresidual.asked},
                           dy.view(), x.view(), y.defined() ? &y_view : nullptr, in.normalization(),
                           in.of_input);
  return {dx.tensor, dweight.tensor, dbias.tensor, wanted[3] && !in.relu ? dy : dresidual.tensor};
}

}  // namespace

ChannelStatistics channel_statistics(const Tensor& x) {
  check_channels("channel_statistics", x);
  const ProfileScope scope("channel_statistics");
  const std::int64_t C = x.size(-1);
  check(C == 0 || x.count() > 0, "[channel_statistics] of {}: there are no values", x.shape());
  NoGradGuard no_grad;
  const Tensor dense = contiguous(x);
  ChannelStatistics out{Tensor::empty({C}, x.dtype(), x.device()),
                        Tensor::empty({C}, x.dtype(), x.device()), true};
  backend(x.device())
      .channel_statistics(out.mean.mutable_view(), out.variance.mutable_view(), dense.view());
  return out;
}

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const ChannelStatistics& statistics, double eps, const Tensor& residual,
                  Activation activation) {
  check_channels("batch_norm", x);
  const ProfileScope scope("batch_norm");
  check(eps > 0, "[batch_norm] eps must be positive, found {}", eps);
  if (residual.defined())
    check(residual.shape() == x.shape() && residual.dtype() == x.dtype() &&
              residual.device() == x.device(),
          "[batch_norm] the residual must be like x, {} of {} on {}; found {} of {} on {}",
          x.shape(), x.dtype(), x.device(), residual.shape(), residual.dtype(), residual.device());
  const bool relu = activation == Activation::relu;
  const Tensor dense = contiguous(x);
  const Tensor added = residual.defined() ? contiguous(residual) : residual;
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  BatchNormInputs in{.x = dense,
                     .weight = per_channel("weight", weight, x),
                     .bias = per_channel("bias", bias, x),
                     .mean = per_channel("mean", statistics.mean, x),
                     .variance = per_channel("variance", statistics.variance, x),
                     .y = Saved(),
                     .eps = eps,
                     .relu = relu,
                     .of_input = statistics.of_input};
  const ConstView added_view = added.defined() ? added.view() : ConstView();
  backend(x.device())
      .batch_norm(y.mutable_view(), dense.view(), in.normalization(),
                  added.defined() ? &added_view : nullptr);
  if (relu && added.defined()) in.y = Saved(y);
  return record(
      "batch_norm", y, {dense, weight, bias, added},
      [in](const Tensor& dy, Wanted wanted) { return batch_norm_backward(in, dy, wanted); });
}

}  // namespace understudy
