#include "coding/parity/concatenation.h"

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

void check_concatenation(const CodeShape& shape, const Shape& image) {
  if (shape.r != 1 || (shape.k != 2 && shape.k != 4))
    throw UsageError(
        fmt::format("concatenation makes r = 1 parity of k = 2 or k = 4 images; got k = {}, r = {}",
                    shape.k, shape.r));
  const std::int64_t H = image[0], W = image[1];
  if (shape.k == 2 && W % 2 != 0)
    throw UsageError(
        fmt::format("concatenation of k = 2 images needs an even width; got images {}×{}", H, W));
  if (shape.k == 4 && (H % 2 != 0 || W % 2 != 0))
    throw UsageError(fmt::format(
        "concatenation of k = 4 images needs an even height and width; got images {}×{}", H, W));
}

Tensor concatenate_images(const Tensor& groups) {
  const std::int64_t G = groups.size(0), k = groups.size(1), H = groups.size(2), W = groups.size(3),
                     C = groups.size(4);
  const std::int64_t rows = k == 4 ? 2 : 1;  // of images; two in each row
  const Tensor small = average_pool2d(reshape(groups, {G * k, H, W, C}), {.window = {rows, 2}});
  // (G, row, column, h, w, C) → (G, row, h, column, w, C)
  const std::int64_t h = H / rows, w = W / 2;
  return reshape(permute(reshape(small, {G, rows, 2, h, w, C}), {0, 1, 3, 2, 4, 5}),
                 {G, 1, H, W, C});
}

}  // namespace understudy
