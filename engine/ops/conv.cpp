// 2-d convolution of NHWC images with KRSC filters.
#include <vector>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

// Above this, sizes of windows could overflow when they are added up.
constexpr std::int64_t most = std::int64_t{1} << 30;

// Checks that x and the filters fit each other; the shape of the result.
Shape result_shape(const char* op, const Tensor& x, const Tensor& weight, const Conv2d& conv) {
  check(is_floating(x.dtype()) && weight.dtype() == x.dtype() && weight.device() == x.device(),
        "[{}] needs two floating tensors of one type and device, found {} on {} and {} on {}", op,
        x.dtype(), x.device(), weight.dtype(), weight.device());
  check(x.rank() == 4 && weight.rank() == 4,
        "[{}] {} with filters {}: needs images (N,H,W,C) and filters (K,R,S,C)", op, x.shape(),
        weight.shape());
  check(x.size(3) == weight.size(3),
        "[{}] images {} with filters {}: {} and {} channels (the last axis) differ", op, x.shape(),
        weight.shape(), x.size(3), weight.size(3));
  const auto within = [](HeightWidth value, std::int64_t least) {
    return value.height >= least && value.width >= least && value.height <= most &&
           value.width <= most;
  };
  check(within(conv.stride, 1) && within(conv.dilation, 1) && within(conv.padding, 0),
        "[{}] stride {}x{}, padding {}x{}, dilation {}x{}: strides and dilations must be at least "
        "1, paddings at least 0, and none above {}",
        op, conv.stride.height, conv.stride.width, conv.padding.height, conv.padding.width,
        conv.dilation.height, conv.dilation.width, most);
  const std::int64_t P = window_count(x.size(1), weight.size(1), conv.stride.height,
                                      conv.padding.height, conv.dilation.height);
  const std::int64_t Q = window_count(x.size(2), weight.size(2), conv.stride.width,
                                      conv.padding.width, conv.dilation.width);
  check(P >= 1 && Q >= 1 && weight.size(1) >= 1 && weight.size(2) >= 1,
        "[{}] images {} with padding {}x{} have no room for filters {} with dilation {}x{}", op,
        x.shape(), conv.padding.height, conv.padding.width, weight.shape(), conv.dilation.height,
        conv.dilation.width);
  return {x.size(0), P, Q, weight.size(0)};
}

// A vector of one value per filter, dense; undefined stays undefined.
Tensor per_filter(const char* op, const char* what, const Tensor& v, const Tensor& weight) {
  if (!v.defined()) return v;
  check(v.dtype() == weight.dtype() && v.device() == weight.device(),
        "[{}] the {} is {} on {}, the filters are {} on {}", op, what, v.dtype(), v.device(),
        weight.dtype(), weight.device());
  check(v.shape() == Shape{weight.size(0)}, "[{}] the {} has shape {}, expected {}", op, what,
        v.shape(), Shape{weight.size(0)});
  return contiguous(v);
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2d& conv,
              Activation activation) {
  const Shape shape = result_shape("conv2d", x, weight, conv);
  const ProfileScope scope("conv2d");
  const Tensor images = contiguous(x), filters = contiguous(weight);
  const Tensor shift = per_filter("conv2d", "bias", bias, weight);
  const ConstView bias_view = shift.defined() ? shift.view() : ConstView();
  const bool with_relu = activation == Activation::relu;
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  backend(x.device())
      .conv2d(y.mutable_view(), images.view(), filters.view(), conv,
              {.bias = shift.defined() ? &bias_view : nullptr, .relu = with_relu});
  return record(
      "conv2d", y, {images, filters, bias},
      [sx = Saved(images), sw = Saved(filters), sy = with_relu ? Saved(y) : Saved(), conv](
          const Tensor& dout, Wanted wanted) {
        const Tensor& x = sx.get("conv2d");
        const Tensor& weight = sw.get("conv2d");
        const Tensor& y = sy.get("conv2d");
        Tensor dy = contiguous(dout);
        Backend& device = backend(dy.device());
        if (y.defined()) {
          dy = Tensor::empty(dout.shape(), dout.dtype(), dout.device());
          device.unary_backward(Unary::relu, dy.mutable_view(), dout.view(), {}, y.view(), 0);
        }
        Gradients gradients{Tensor(), Tensor(), Tensor()};
        if (wanted[0]) {
          gradients[0] = Tensor::empty(x.shape(), x.dtype(), x.device());
          device.conv2d_input_gradient(gradients[0].mutable_view(), dy.view(), weight.view(), conv);
        }
        if (wanted[1]) {
          gradients[1] = Tensor::empty(weight.shape(), weight.dtype(), weight.device());
          device.conv2d_weight_gradient(gradients[1].mutable_view(), dy.view(), x.view(), conv);
        }
        if (wanted[2]) gradients[2] = sum(dy, {0, 1, 2});
        return gradients;
      });
}

Tensor conv2d_affine(const Tensor& x, const Tensor& weight, const Tensor& scale,
                     const Tensor& shift, const Tensor& residual, const Conv2d& conv,
                     Activation activation) {
  const Shape shape = result_shape("conv2d_affine", x, weight, conv);
  const ProfileScope scope("conv2d_affine");
  const Tensor images = contiguous(x), filters = contiguous(weight);
  const Tensor factor = per_filter("conv2d_affine", "scale", scale, weight);
  const Tensor offset = per_filter("conv2d_affine", "shift", shift, weight);
  check(factor.defined() && offset.defined(), "[conv2d_affine] needs a scale and a shift");
  if (residual.defined())
    check(residual.shape() == shape && residual.dtype() == x.dtype() &&
              residual.device() == x.device(),
          "[conv2d_affine] the residual must be like the result, {} of {} on {}; found {} of {} on "
          "{}",
          shape, x.dtype(), x.device(), residual.shape(), residual.dtype(), residual.device());
  if (recording())
    for (const Tensor& input : {x, weight, scale, shift, residual})
      check(!input.defined() || !input.requires_grad(),
            "[conv2d_affine] has no gradient, but an input wants one: take conv2d and batch_norm, "
            "or put it under a NoGradGuard");
  const Tensor added = residual.defined() ? contiguous(residual) : residual;
  const ConstView factor_view = factor.view(), offset_view = offset.view();
  const ConstView added_view = added.defined() ? added.view() : ConstView();
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  backend(x.device())
      .conv2d(y.mutable_view(), images.view(), filters.view(), conv,
              {.scale = &factor_view,
               .bias = &offset_view,
               .residual = added.defined() ? &added_view : nullptr,
               .relu = activation == Activation::relu});
  return y;
}

Tensor conv2d_squared_weight_gradients(std::span<const Tensor> dy, const Tensor& x,
                                       HeightWidth window, const Conv2d& conv) {
  constexpr const char* op = "conv2d_squared_weight_gradients";
  check(!dy.empty() && dy[0].rank() == 4, "[{}] needs at least one gradient (N,P,Q,K)", op);
  const ProfileScope scope(op);
  const NoGradGuard no_grad;
  const Tensor images = contiguous(x);
  check(x.rank() == 4, "[{}] {}: needs images (N,H,W,C)", op, x.shape());
  Tensor sums =
      Tensor::empty({dy[0].size(3), window.height, window.width, x.size(3)}, x.dtype(), x.device());
  const Shape shape = result_shape(op, x, sums, conv);
  std::vector<Tensor> dense;
  std::vector<ConstView> views;
  for (const Tensor& gradient : dy) {
    check(gradient.shape() == shape && gradient.dtype() == x.dtype() &&
              gradient.device() == x.device(),
          "[{}] a gradient must be like the result, {} of {} on {}; found {} of {} on {}", op,
          shape, x.dtype(), x.device(), gradient.shape(), gradient.dtype(), gradient.device());
    dense.push_back(contiguous(gradient));
    views.push_back(dense.back().view());
  }
  backend(x.device())
      .conv2d_squared_weight_gradients(sums.mutable_view(), views, images.view(), conv);
  return sums;
}

}  // namespace understudy
