// Pooling over windows of images (N, H, W, C).
#pragma once

#include "kernels/conv2d.h"

namespace understudy {

// y[n, p, q, c] over the window of x that a convolution of these sizes would see. The largest is
// that of the pixels inside x; the average counts those outside as zeros, as PyTorch's default.
enum class Pooling : std::uint8_t { max, average };

struct Pool2d {
  HeightWidth window;
  HeightWidth stride = window;
  HeightWidth padding = 0;  // at most half a window
};

}  // namespace understudy
