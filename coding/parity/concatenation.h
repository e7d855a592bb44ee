// Images side by side as one image of their size (ParM, SOSP 2019; published for k = 2 and 4).
#pragma once

#include "coding/erasures.h"
#include "engine/tensor.h"

namespace understudy {

// How k images lie in one: `rows` × `columns` cells, filled row by row, each image shrunk so many
// times in height and width. 1×2 for k = 2 and 2×2 for k = 4, as published; beyond that ours: as
// square as rows = ⌊√k⌋ makes it, 2×3 for k = 5, of which the last cell stays empty.
struct Mosaic {
  int rows, columns;
};
Mosaic mosaic_of(int k);

// UsageError that names what was given unless images (H, W, C) have a pixel for every cell.
void check_concatenation(const CodeShape& shape, const Shape& image);

// groups (G, k, H, W, C) → (G, 1, H, W, C). A pixel is the mean of the rows × columns pixels that it
// takes the place of; those at the right and bottom of an image that make no whole window are left
// out. What no image fills is 0.
Tensor concatenate_images(const Tensor& groups);

}  // namespace understudy
