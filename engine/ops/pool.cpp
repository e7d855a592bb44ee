// Pooling of NHWC images.
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

Shape result_shape(const char* op, const Tensor& x, const Pool2d& pool) {
  check(x.rank() == 4 && is_floating(x.dtype()),
        "[{}] needs floating images (N,H,W,C), found {} of {}", op, x.dtype(), x.shape());
  const auto [window, stride, padding] = pool;
  check(window.height >= 1 && window.width >= 1 && stride.height >= 1 && stride.width >= 1 &&
            window.height <= most && window.width <= most && stride.height <= most &&
            stride.width <= most && padding.height >= 0 && padding.width >= 0 &&
            padding.height <= window.height / 2 && padding.width <= window.width / 2,
        "[{}] window {}x{}, stride {}x{}, padding {}x{}: windows and strides must be from 1 to "
        "{}, paddings from 0 to half a window",
        op, window.height, window.width, stride.height, stride.width, padding.height, padding.width,
        most);
  // Else a window could lie in the padding alone.
  check(x.size(1) >= 1 && x.size(2) >= 1, "[{}] images {} have no pixels", op, x.shape());
  const std::int64_t P = window_count(x.size(1), window.height, stride.height, padding.height, 1);
  const std::int64_t Q = window_count(x.size(2), window.width, stride.width, padding.width, 1);
  check(P >= 1 && Q >= 1, "[{}] images {} with padding {}x{} have no room for windows of {}x{}", op,
        x.shape(), padding.height, padding.width, window.height, window.width);
  return {x.size(0), P, Q, x.size(3)};
}

Tensor pool2d(const char* op, Pooling pooling, const Tensor& x, const Pool2d& pool) {
  const ProfileScope scope(op);
  const Shape shape = result_shape(op, x, pool);
  const Tensor images = contiguous(x);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  backend(x.device()).pool2d(pooling, y.mutable_view(), images.view(), pool);
  const bool keep = pooling == Pooling::max;
  return record(op, y, {images},
                [op, pooling, pool, from = x.shape(), sx = keep ? Saved(images) : Saved(),
                 sy = keep ? Saved(y) : Saved()](const Tensor& dy, Wanted) {
                  const auto view = [](const Tensor& t) {
                    return t.defined() ? t.view() : ConstView();
                  };
                  Tensor dx = Tensor::empty(from, dy.dtype(), dy.device());
                  backend(dy.device())
                      .pool2d_backward(pooling, dx.mutable_view(), contiguous(dy).view(),
                                       view(sx.get(op)), view(sy.get(op)), pool);
                  return Gradients{dx};
                });
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2d& pool) {
  return pool2d("max_pool2d", Pooling::max, x, pool);
}
Tensor average_pool2d(const Tensor& x, const Pool2d& pool) {
  return pool2d("average_pool2d", Pooling::average, x, pool);
}

}  // namespace understudy
