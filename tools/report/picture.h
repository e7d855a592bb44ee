// Small images on their way into the page: pixels → PNG → base64 → data URI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace understudy::report {

// 8-bit pixels, row-major (height, width, channels), channels 1 (grey) or 3 (red, green, blue).
struct Picture {
  int width = 0, height = 0, channels = 1;
  std::vector<std::uint8_t> pixels;
};

// Maps [low, high] linearly to black..white; values outside are clipped, NaN is black. `values` is
// (height, width, channels). When high <= low every pixel is mid grey.
Picture picture_of(std::span<const float> values, int width, int height, int channels, float low,
                   float high);

// Error when the sizes do not fit the pixels or the encoder fails.
std::vector<std::uint8_t> png(const Picture& picture);
std::string base64(std::span<const std::uint8_t> bytes);  // RFC 4648, padded
std::string data_uri(const Picture& picture);             // "data:image/png;base64,…"

}  // namespace understudy::report
