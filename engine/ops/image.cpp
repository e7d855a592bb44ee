// What augmentation does to images (N, H, W, C). A crop is slice().
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {

Tensor pad2d(const Tensor& x, HeightWidth padding) {
  const ProfileScope scope("pad2d");
  const auto [height, width] = padding;
  check(x.rank() == 4, "[pad2d] needs images (N,H,W,C), found {}", x.shape());
  constexpr std::int64_t most = std::int64_t{1} << 30;
  check(height >= 0 && width >= 0 && height <= most && width <= most,
        "[pad2d] padding {}x{}: both must be from 0 to {}", height, width, most);
  const std::int64_t H = x.size(1), W = x.size(2);
  const auto inside = [=](const Tensor& padded) {
    return slice(slice(padded, 1, height, height + H), 2, width, width + W);
  };
  Tensor out =
      Tensor::zeros({x.size(0), H + 2 * height, W + 2 * width, x.size(3)}, x.dtype(), x.device());
  inside(out).copy_(x);
  return record("pad2d", out, {x},
                [inside](const Tensor& dy, Wanted) { return Gradients{inside(dy)}; });
}

Tensor flip(const Tensor& x, int axis) {
  const ProfileScope scope("flip");
  axis = normalize_axis("flip", axis, x.rank());
  ConstView mirrored = x.view();
  const std::int64_t last = x.shape()[axis] - 1;
  if (last > 0) {
    const auto step = mirrored.strides[axis];
    mirrored = x.alias(x.shape(), x.strides(), last * step).view();
    mirrored.strides[axis] = -step;
  }
  Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  backend(x.device()).copy(out.mutable_view(), mirrored);
  return record("flip", out, {x},
                [axis](const Tensor& dy, Wanted) { return Gradients{flip(dy, axis)}; });
}

}  // namespace understudy
