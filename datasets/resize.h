// Pictures made larger and smaller.
#pragma once

#include <cstdint>

#include "datasets/image_file.h"

namespace understudy {

// The image stretched to height x width, with a triangle filter that is as wide as a pixel of the
// larger of the two images on each side: linear interpolation when it grows, a weighted mean when
// it shrinks. First along rows, then along columns, in integers: each time the bytes that Pillow's
// resize(BILINEAR) makes.
Image resize(const Image& image, std::int64_t height, std::int64_t width);

}  // namespace understudy
