#include "coding/parity/concatenation.h"

#include <vector>

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Zeros behind `x` along `axis` up to `size`.
Tensor filled_up(const Tensor& x, int axis, std::int64_t size) {
  Shape missing = x.shape();
  missing[axis] = size - x.size(axis);
  if (missing[axis] == 0) return x;
  return concat({x, Tensor::zeros(missing, x.dtype(), x.device())}, axis);
}

}  // namespace

Mosaic mosaic_of(int k) {
  int rows = 1;
  while ((rows + 1) * (rows + 1) <= k) ++rows;
  return {rows, (k + rows - 1) / rows};
}

void check_concatenation(const CodeShape& shape, const Shape& image) {
  const auto [rows, columns] = mosaic_of(shape.k);
  if (image[0] < rows || image[1] < columns)
    throw UsageError(fmt::format(
        "concatenation of k = {} images averages windows of {}×{} pixels; the images are {}×{}",
        shape.k, rows, columns, image[0], image[1]));
}

Tensor concatenate_images(const Tensor& groups) {
  const std::int64_t G = groups.size(0), k = groups.size(1), H = groups.size(2), W = groups.size(3),
                     C = groups.size(4);
  const auto [rows, columns] = mosaic_of(static_cast<int>(k));
  const Tensor small =
      average_pool2d(reshape(groups, {G * k, H, W, C}), {.window = {rows, columns}});
  const std::int64_t h = small.size(1), w = small.size(2);
  const Tensor cells = filled_up(reshape(small, {G, k, h, w, C}), 1, std::int64_t{rows} * columns);
  // (G, row, column, h, w, C) → (G, row, h, column, w, C)
  const Tensor mosaic =
      reshape(permute(reshape(cells, {G, rows, columns, h, w, C}), {0, 1, 3, 2, 4, 5}),
              {G, rows * h, columns * w, C});
  return reshape(filled_up(filled_up(mosaic, 1, H), 2, W), {G, 1, H, W, C});
}

}  // namespace understudy
