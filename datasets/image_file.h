// One picture: PNG, JPEG or BMP, decoded by stb_image after the checks that it leaves out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace understudy {

struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;  // (height, width, channels)
};

// Larger ones are refused before they are decoded: a small file can claim any size.
inline constexpr std::int64_t max_image_side = 1 << 14;
inline constexpr std::int64_t max_image_pixels = std::int64_t{1} << 26;  // 8192 x 8192
inline constexpr std::uint64_t max_image_bytes = std::uint64_t{1} << 28;

// The picture that a file's bytes hold, whatever the file is called. `channels`: 1 for grey
// (77R + 150G + 29B) / 256, or 3 for RGB. An alpha channel is left out, of 16 bits the upper 8 are
// kept, and notes on orientation are not followed. Error, beginning with `name`, for another
// format, sizes beyond the limits, and a file that is cut short or damaged as far as can be known:
// PNG has checksums, JPEG and BMP only show what cannot be decoded.
Image read_image(std::span<const std::uint8_t> bytes, const std::string& name,
                 std::int64_t channels);
Image read_image(const std::filesystem::path& file, std::int64_t channels);

}  // namespace understudy
