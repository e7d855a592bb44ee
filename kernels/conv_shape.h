// The sizes of a convolution, by the letters that its loops use.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/view.h"

namespace understudy {

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// x (N, H, W, C), w (K, R, S, C), y (N, P, Q, K).
struct ConvShape {
  std::int64_t N, H, W, C, K, R, S, P, Q;
  Conv2d conv;

  std::int64_t multiply_adds() const { return N * P * Q * K * R * S * C; }
  // One product of matrices, (pixels, C) by (C, K).
  bool is_product() const {
    return R == 1 && S == 1 && conv.stride == HeightWidth(1) && conv.padding == HeightWidth(0);
  }
};

inline ConvShape conv_shape(const Dims& x, const Dims& w, const Dims& y, const Conv2d& conv) {
  return {x[0], x[1], x[2], x[3], w[0], w[1], w[2], y[1], y[2], conv};
}

}  // namespace understudy
