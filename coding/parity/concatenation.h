// Images side by side as one image of their size (ParM, SOSP 2019).
#pragma once

#include "coding/erasures.h"
#include "engine/tensor.h"

namespace understudy {

// UsageError that names what was given unless r = 1 and images (H, W, C) can be concatenated: k = 2
// with an even W, k = 4 with even H and W.
void check_concatenation(const CodeShape& shape, const Shape& image);

// groups (G, k, H, W, C) → (G, 1, H, W, C). k = 2: each image at half its width, the first on the
// left. k = 4: each at half its height and width; the first two above, left and right, the others
// below. A pixel is the mean of those that it takes the place of.
Tensor concatenate_images(const Tensor& groups);

}  // namespace understudy
