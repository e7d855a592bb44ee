// From bytes on disk to a batch of floats.
#include "engine/ops.h"
#include "engine/ops/index.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {

Tensor gather_images(const Tensor& images, const Tensor& index, std::span<const float> mean,
                     std::span<const float> std) {
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
  const Tensor source = contiguous(images);
  const Tensor dense = contiguous(index);
  Tensor out = Tensor::empty({index.size(0), H, W, C}, DType::f32, images.device());
  View view = out.mutable_view();
  view.shape = {index.size(0), H * W, C};
  view.strides = contiguous_strides(view.shape);
  ConstView in = source.view();
  in.shape = {images.size(0), H * W, C};
  in.strides = contiguous_strides(in.shape);
  backend(images.device()).gather_images(view, in, dense.view(), mean, std);
  return out;
}

}  // namespace understudy
