// From bytes on disk to a batch of floats.
#include "engine/ops.h"
#include "engine/ops/index.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {

Tensor gather_images(const Tensor& images, const Tensor& index, std::span<const float> mean,
                     std::span<const float> std, const Tensor& placement) {
  const ProfileScope scope("gather_images");
  check(images.dtype() == DType::u8 && images.rank() == 4,
        "[gather_images] needs uint8 images (N,H,W,C), found {} of {}", images.dtype(),
        images.shape());
  const std::int64_t H = images.size(1), W = images.size(2), C = images.size(3);
  check(static_cast<std::int64_t>(mean.size()) == C && std.size() == mean.size(),
        "[gather_images] {} channels need as many means and deviations, found {} and {}", C,
        mean.size(), std.size());
  for (std::size_t c = 0; c < std.size(); ++c)
    check(std[c] > 0, "[gather_images] the deviation of channel {} is {}; it must be above 0", c,
          std[c]);
  check(index.rank() == 1 && index.dtype() == DType::i64 && index.device() == images.device(),
        "[gather_images] the index must be int64 of rank 1 on {}", images.device());
  check_index("gather_images", index, images.size(0));
  if (placement.defined())
    check(placement.shape() == Shape{index.size(0), 3} && placement.dtype() == DType::i32 &&
              placement.device() == images.device(),
          "[gather_images] the placement must be int32 of ({},3) on {}, found {} of {} on {}",
          index.size(0), images.device(), placement.dtype(), placement.shape(), placement.device());
  const Tensor source = contiguous(images);
  const Tensor dense = contiguous(index);
  const Tensor places = placement.defined() ? contiguous(placement) : placement;
  Tensor out = Tensor::empty({index.size(0), H, W, C}, DType::f32, images.device());
  const ConstView place = places.defined() ? places.view() : ConstView{};
  backend(images.device())
      .gather_images(out.mutable_view(), source.view(), dense.view(),
                     places.defined() ? &place : nullptr, mean, std);
  return out;
}

}  // namespace understudy
