#include "tools/report/picture.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace understudy::report {

Picture picture_of(std::span<const float> values, int width, int height, int channels, float low,
                   float high) {
  Picture picture{width, height, channels, std::vector<std::uint8_t>(values.size())};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float t = high > low ? (values[i] - low) / (high - low) : 0.5f;
    picture.pixels[i] =
        std::isnan(t) ? 0 : static_cast<std::uint8_t>(std::lround(255 * std::clamp(t, 0.f, 1.f)));
  }
  return picture;
}

std::vector<std::uint8_t> png(const Picture& picture) {
  const auto [width, height, channels, pixels] = picture;
  check(width > 0 && height > 0 && (channels == 1 || channels == 3) &&
            pixels.size() == std::size_t(width) * std::size_t(height) * std::size_t(channels),
        "[png] {}×{} pixels of {} channels (1 or 3 expected) cannot come from {} bytes", width,
        height, channels, pixels.size());
  std::vector<std::uint8_t> bytes;
  const auto append = [](void* context, void* data, int size) {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    auto& out = *static_cast<std::vector<std::uint8_t>*>(context);
    out.insert(out.end(), begin, begin + size);
  };
  const int ok = stbi_write_png_to_func(append, &bytes, width, height, channels, pixels.data(),
                                        width * channels);
  check(ok != 0 && !bytes.empty(), "[png] could not encode a picture of {}×{}", width, height);
  return bytes;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = std::uint32_t(bytes[i]) << 16;
    if (left > 1) group |= std::uint32_t(bytes[i + 1]) << 8;
    if (left > 2) group |= bytes[i + 2];
    for (std::size_t j = 0; j < 4; ++j) out += j <= left ? digits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string data_uri(const Picture& picture) {
  return "data:image/png;base64," + base64(png(picture));
}

}  // namespace understudy::report
