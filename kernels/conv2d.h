// How a window moves over images (N, H, W, C): what convolution and pooling have in common.
#pragma once

#include <cstdint>

namespace understudy {

// A pair of sizes in pixels; one number means both.
struct HeightWidth {
  std::int64_t height, width;
  constexpr HeightWidth(std::int64_t both) : height(both), width(both) {}
  constexpr HeightWidth(std::int64_t h, std::int64_t w) : height(h), width(w) {}
  friend constexpr bool operator==(HeightWidth, HeightWidth) = default;
};

// `automatic` chooses by shape; the others are for tests and measurements, and an error where they
// do not apply.
enum class ConvAlgorithm : std::uint8_t {
  automatic,
  implicit,    // a product over windows that are read where they lie; every shape
  winograd,    // F(4×4, 3×3): 3×3 windows with stride 1
  few_pixels,  // a product with the filters where they lie; forward only, every shape
  product,     // 1×1 windows with stride 1 and without padding are one matrix product
};
const char* to_string(ConvAlgorithm algorithm);

// y[n, p, q, k] = Σ over r, s, c of w[k, r, s, c] · x[n, h, w, c] with
// h = p · stride.height - padding.height + r · dilation.height and w likewise, zero outside x.
struct Conv2d {
  HeightWidth stride = 1, padding = 0, dilation = 1;
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;
};

// Output pixels along one axis; below 1 where the window does not fit.
constexpr std::int64_t window_count(std::int64_t size, std::int64_t window, std::int64_t stride,
                                    std::int64_t padding, std::int64_t dilation) {
  const std::int64_t room = size + 2 * padding - (dilation * (window - 1) + 1);
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace understudy
