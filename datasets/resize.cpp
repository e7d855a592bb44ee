#include "datasets/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/check.h"

namespace understudy {

namespace {

// Weights are integers of this many bits behind the point; a sum of them times bytes fits 32 bits.
constexpr int precision = 22;

// What one output pixel is made of: `weights` of the input pixels from `first` on.
struct Taps {
  std::int64_t first;
  std::vector<std::int32_t> weights;
};

std::vector<Taps> taps_for(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all;
  std::vector<double> weights;
  for (std::int64_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first =
        std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(center - support + 0.5)));
    const auto last = std::min(in, static_cast<std::int64_t>(std::floor(center + support + 0.5)));
    weights.clear();
    double total = 0;
    for (std::int64_t x = first; x < last; ++x) {
      const double distance = std::abs((static_cast<double>(x) - center + 0.5) * (1.0 / support));
      weights.push_back(std::max(0.0, 1.0 - distance));
      total += weights.back();
    }
    Taps taps{first, {}};
    for (const double w : weights)
      taps.weights.push_back(
          static_cast<std::int32_t>(std::floor(0.5 + w / total * (1 << precision))));
    all.push_back(std::move(taps));
  }
  return all;
}

// Resizes the middle one of three axes: (outer, in, inner) → (outer, out, inner).
std::vector<std::uint8_t> resize_axis(const std::vector<std::uint8_t>& pixels, std::int64_t outer,
                                      std::int64_t in, std::int64_t inner, std::int64_t out) {
  if (in == out) return pixels;
  const std::vector<Taps> taps = taps_for(in, out);
  std::vector<std::uint8_t> result(static_cast<std::size_t>(outer * out * inner));
  std::vector<std::int32_t> sum(static_cast<std::size_t>(inner));
  std::uint8_t* to = result.data();
  for (std::int64_t o = 0; o < outer; ++o)
    for (const Taps& t : taps) {
      std::fill(sum.begin(), sum.end(), 1 << (precision - 1));  // rounds to the nearest
      const std::uint8_t* from = pixels.data() + (o * in + t.first) * inner;
      for (const std::int32_t w : t.weights)
        for (std::int32_t& s : sum) s += w * *from++;
      for (const std::int32_t s : sum)
        *to++ = static_cast<std::uint8_t>(std::clamp(s >> precision, 0, 255));
    }
  return result;
}

}  // namespace

Image resize(const Image& image, std::int64_t height, std::int64_t width) {
  check(height > 0 && width > 0 && image.height > 0 && image.width > 0,
        "[resize] expected sizes of at least 1x1, found {}x{} to {}x{}", image.height, image.width,
        height, width);
  Image result{height, width, image.channels, {}};
  const auto rows = resize_axis(image.pixels, image.height, image.width, image.channels, width);
  result.pixels = resize_axis(rows, 1, image.height, width * image.channels, height);
  return result;
}

}  // namespace understudy
