#include "datasets/forms.h"

#include <algorithm>

#include "kernels/check.h"

namespace understudy {
namespace {

void check_whole(const char* form, std::size_t bytes, std::size_t image) {
  check(image > 0 && bytes % image == 0, "[{}] expected whole images of {} bytes, found {} bytes",
        form, image, bytes);
}

}  // namespace

std::vector<std::uint8_t> rotated(std::span<const std::uint8_t> pixels, std::size_t side) {
  const std::size_t image = side * side;
  check_whole("rotated", pixels.size(), image);
  std::vector<std::uint8_t> turned;
  turned.reserve(pixels.size());
  for (std::size_t start = 0; start < pixels.size(); start += image)
    for (std::size_t y = 0; y < side; ++y)
      for (std::size_t x = 0; x < side; ++x)
        turned.push_back(pixels[start + x * side + (side - 1 - y)]);
  return turned;
}

std::vector<std::uint8_t> rgb32(std::span<const std::uint8_t> pixels) {
  constexpr std::size_t small = 28, large = 32, border = 2;
  check_whole("rgb32", pixels.size(), small * small);
  const std::size_t count = pixels.size() / (small * small);
  std::vector<std::uint8_t> colour(count * large * large * 3, 0);
  for (std::size_t n = 0; n < count; ++n)
    for (std::size_t y = 0; y < small; ++y)
      for (std::size_t x = 0; x < small; ++x)
        std::fill_n(&colour[((n * large + y + border) * large + x + border) * 3], 3,
                    pixels[(n * small + y) * small + x]);
  return colour;
}

}  // namespace understudy
