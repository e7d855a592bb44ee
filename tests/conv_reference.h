// Convolution by its definition, in double, and the shapes that every algorithm is tried on.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/view.h"

namespace understudy::testing {

struct ConvProblem {
  std::int64_t N, H, W, C, K, R, S;
  Conv2d conv;

  std::int64_t P() const {
    return window_count(H, R, conv.stride.height, conv.padding.height, conv.dilation.height);
  }
  std::int64_t Q() const {
    return window_count(W, S, conv.stride.width, conv.padding.width, conv.dilation.width);
  }
  Dims x() const { return {N, H, W, C}; }
  Dims w() const { return {K, R, S, C}; }
  Dims y() const { return {N, P(), Q(), K}; }
  bool winograd() const { return R == 3 && S == 3 && conv.stride == HeightWidth(1); }
  bool product() const {
    return R == 1 && S == 1 && conv.stride == HeightWidth(1) && conv.padding == HeightWidth(0);
  }
  std::string name() const {
    return fmt::format("N{} H{} W{} C{} K{} R{} S{} stride {}x{} padding {}x{} dilation {}x{}", N,
                       H, W, C, K, R, S, conv.stride.height, conv.stride.width, conv.padding.height,
                       conv.padding.width, conv.dilation.height, conv.dilation.width);
  }
};

// Odd sizes, one and three channels, channels that are no multiple of a vector, planes smaller than
// a tile, strides, dilations, windows larger than the plane, batches of one and of none.
inline std::vector<ConvProblem> conv_problems() {
  const Conv2d same{.padding = 1}, halved{.stride = 2, .padding = 1};
  return {
      {1, 1, 1, 1, 1, 1, 1, {}},
      {2, 5, 7, 3, 4, 1, 1, {}},
      {3, 6, 5, 17, 33, 1, 1, {}},
      {2, 8, 8, 5, 9, 1, 1, {.stride = 2}},
      {1, 1, 1, 2, 3, 3, 3, same},
      {1, 2, 2, 1, 2, 3, 3, same},
      {2, 3, 3, 4, 4, 3, 3, same},
      {1, 4, 4, 16, 16, 3, 3, same},
      {2, 4, 4, 40, 24, 3, 3, same},
      {1, 5, 7, 3, 8, 3, 3, same},
      {2, 7, 5, 8, 3, 3, 3, {}},
      {1, 9, 6, 1, 5, 3, 3, {.padding = 2}},
      {3, 8, 12, 19, 37, 3, 3, same},
      {1, 28, 28, 2, 40, 3, 3, same},
      {1, 11, 13, 33, 66, 3, 3, same},
      {2, 8, 8, 6, 10, 3, 3, halved},
      {1, 7, 9, 20, 18, 3, 3, halved},
      {2, 9, 7, 3, 5, 3, 3, {.stride = 3}},
      {1, 12, 12, 4, 6, 3, 3, {.padding = 2, .dilation = 2}},
      {1, 20, 20, 5, 7, 3, 3, {.padding = 8, .dilation = 8}},
      {2, 10, 13, 17, 18, 3, 3, {.padding = {1, 3}, .dilation = {3, 2}}},
      {2, 9, 9, 9, 4, 3, 3, {.stride = 2, .padding = 4, .dilation = 4}},
      {1, 10, 6, 3, 4, 5, 2, {.stride = {2, 1}, .padding = {2, 0}}},
      {2, 6, 10, 2, 3, 2, 5, {.stride = {1, 2}, .padding = {1, 3}, .dilation = {3, 1}}},
      {1, 3, 3, 2, 2, 7, 7, {.padding = 3}},
      {2, 5, 5, 3, 2, 1, 1, {.stride = 7, .padding = 1}},
      {0, 4, 4, 3, 2, 3, 3, same},
      {1, 4, 4, 0, 2, 3, 3, same},
  };
}

struct ConvReference {
  std::vector<double> y, dx, dw;
};

// y = conv2d(x, w), and the gradients of Σ dy · y. All in row-major order.
inline ConvReference conv_reference(const ConvProblem& s, const std::vector<double>& x,
                                    const std::vector<double>& w, const std::vector<double>& dy) {
  ConvReference out;
  const auto sized = [](const Dims& shape) {
    return std::vector<double>(static_cast<std::size_t>(shape.count()), 0.0);
  };
  out.y = sized(s.y());
  out.dx = sized(s.x());
  out.dw = sized(s.w());
  for (std::int64_t n = 0; n < s.N; ++n)
    for (std::int64_t p = 0; p < s.P(); ++p)
      for (std::int64_t q = 0; q < s.Q(); ++q)
        for (std::int64_t r = 0; r < s.R; ++r)
          for (std::int64_t t = 0; t < s.S; ++t) {
            const std::int64_t h =
                p * s.conv.stride.height - s.conv.padding.height + r * s.conv.dilation.height;
            const std::int64_t v =
                q * s.conv.stride.width - s.conv.padding.width + t * s.conv.dilation.width;
            if (h < 0 || h >= s.H || v < 0 || v >= s.W) continue;
            for (std::int64_t k = 0; k < s.K; ++k)
              for (std::int64_t c = 0; c < s.C; ++c) {
                const auto in = static_cast<std::size_t>(((n * s.H + h) * s.W + v) * s.C + c);
                const auto filter = static_cast<std::size_t>(((k * s.R + r) * s.S + t) * s.C + c);
                const auto result =
                    static_cast<std::size_t>(((n * s.P() + p) * s.Q() + q) * s.K + k);
                out.y[result] += x[in] * w[filter];
                out.dx[in] += dy[result] * w[filter];
                out.dw[filter] += dy[result] * x[in];
              }
          }
  return out;
}

// Σ over samples and gradients of dw², each dw the weight gradient of one sample under one gradient.
inline std::vector<double> squared_weight_gradients(const ConvProblem& s,
                                                    const std::vector<std::vector<double>>& dy,
                                                    const std::vector<double>& x) {
  std::vector<double> sums(static_cast<std::size_t>(s.w().count()), 0.0);
  const std::vector<double> no_weight(sums.size());
  ConvProblem one = s;
  one.N = 1;
  const auto sample = [&s](const std::vector<double>& all, std::int64_t n) {
    const auto count = static_cast<std::ptrdiff_t>(all.size()) / s.N;
    return std::vector<double>(all.begin() + n * count, all.begin() + (n + 1) * count);
  };
  for (std::int64_t n = 0; n < s.N; ++n)
    for (const std::vector<double>& gradient : dy) {
      const auto dw = conv_reference(one, sample(x, n), no_weight, sample(gradient, n)).dw;
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += dw[i] * dw[i];
    }
  return sums;
}

}  // namespace understudy::testing
