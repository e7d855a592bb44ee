#include "datasets/image_file.h"

#include <stb/stb_image.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "datasets/byte_reader.h"
#include "datasets/jpeg_check.h"
#include "datasets/png_check.h"
#include "kernels/check.h"

namespace understudy {

namespace {

using Bytes = std::span<const std::uint8_t>;

enum class Format { png, jpeg, bmp };

bool begins_with(Bytes bytes, std::string_view text, std::size_t at = 0) {
  return bytes.size() >= at + text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// What people have among their pictures and expect to be read.
std::string_view known_other(Bytes bytes) {
  if (bytes.empty()) return "an empty file";
  if (begins_with(bytes, "GIF8")) return "a GIF";
  if (begins_with(bytes, "RIFF") && begins_with(bytes, "WEBP", 8)) return "a WebP";
  if (begins_with(bytes, "II*") || begins_with(bytes, "MM")) return "a TIFF";
  if (begins_with(bytes, "ftypavif", 4)) return "an AVIF";
  if (begins_with(bytes, "ftyp", 4)) return "a HEIF picture or a film";
  if (begins_with(bytes, "8BPS")) return "a Photoshop document";
  if (begins_with(bytes, "%PDF")) return "a PDF";
  if (begins_with(bytes, "<svg") || begins_with(bytes, "<?xml")) return "an SVG or other XML";
  return "something else";
}

Format format_of(Bytes bytes, const std::string& name) {
  using namespace std::string_view_literals;
  if (begins_with(bytes, "\x89PNG\r\n\x1a\n"sv)) return Format::png;
  if (begins_with(bytes, "\xff\xd8\xff"sv)) return Format::jpeg;
  if (begins_with(bytes, "BM"sv)) return Format::bmp;
  fail("{}: expected a PNG, JPEG or BMP image, found {}", name, known_other(bytes));
}

// The bytes as stb_image asks for them. Memory would be simpler, but of a file that is cut short
// stb_image makes an image whose rest is grey; that it asked for more is the only sign.
struct Feed {
  Bytes rest;
  bool past_end = false;

  static int read(void* self, char* out, int size) {
    auto& feed = *static_cast<Feed*>(self);
    const std::size_t n = std::min(feed.rest.size(), static_cast<std::size_t>(size));
    std::memcpy(out, feed.rest.data(), n);
    feed.rest = feed.rest.subspan(n);
    feed.past_end = feed.past_end || n == 0;
    return static_cast<int>(n);
  }
  static void skip(void* self, int size) {
    auto& feed = *static_cast<Feed*>(self);
    const std::size_t n = std::min(feed.rest.size(), static_cast<std::size_t>(size));
    feed.past_end = feed.past_end || n < static_cast<std::size_t>(size);
    feed.rest = feed.rest.subspan(n);
  }
  static int eof(void* self) { return static_cast<Feed*>(self)->rest.empty(); }
};
constexpr stbi_io_callbacks callbacks = {Feed::read, Feed::skip, Feed::eof};

[[noreturn]] void refuse(const std::string& name, const Feed& feed) {
  // stb's reason for a file that ends is what it made of the zeros it read on.
  check(!feed.past_end, "{}: expected a whole image, found the end of the file", name);
  fail("{}: expected an image that can be decoded, found: {}", name, stbi_failure_reason());
}

void check_size(std::int64_t height, std::int64_t width, const std::string& name) {
  check(height > 0 && width > 0 && height <= max_image_side && width <= max_image_side &&
            height * width <= max_image_pixels,
        "{}: expected an image of at most {} pixels a side and {} in all, found {}x{}", name,
        max_image_side, max_image_pixels, width, height);
}

// Memory is taken by what a header claims, so the claim must be backed by the size of the file.
void check_claim(Format format, std::int64_t pixels, std::size_t bytes, const std::string& name) {
  if (format == Format::png) return;  // check_png_data knows exactly
  // BMP: 1 bit a pixel at the least, as stb_image reads none that is compressed. JPEG: 1 bit for a
  // block of 8x8 pixels of the component that has most.
  const std::int64_t most = format == Format::bmp ? 8 : 8 * 64;
  check(pixels / most <= static_cast<std::int64_t>(bytes),
        "{}: expected a whole image, found {} bytes for {} pixels", name, bytes, pixels);
}

struct Free {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};
using Pixels = std::unique_ptr<stbi_uc, Free>;

Pixels load(Feed& feed, int channels, int& width, int& height) {
  int found = 0;
  return Pixels(stbi_load_from_callbacks(&callbacks, &feed, &width, &height, &found, channels));
}

}  // namespace

Image read_image(Bytes bytes, const std::string& name, std::int64_t channels) {
  check(channels == 1 || channels == 3, "[read_image] expected 1 or 3 channels, found {}",
        channels);
  const Format format = format_of(bytes, name);
  if (format == Format::png) {
    const PngParts parts = read_png_parts(bytes, name);
    check_size(parts.height, parts.width, name);
    check_png_data(parts, name);
  } else {
    if (format == Format::jpeg) check_jpeg(bytes, name);
    Feed feed{bytes};
    int width = 0, height = 0, found = 0;
    if (!stbi_info_from_callbacks(&callbacks, &feed, &width, &height, &found)) {
      // Only decoding says why; it ends where the header does.
      feed = {bytes};
      load(feed, static_cast<int>(channels), width, height);
      refuse(name, feed);
    }
    // The height of a BMP whose rows run downwards is negative.
    const std::int64_t rows = std::abs(std::int64_t{height});
    check_size(rows, width, name);
    check_claim(format, rows * width, bytes.size(), name);
  }

  Feed feed{bytes};
  int width = 0, height = 0;
  const Pixels pixels = load(feed, static_cast<int>(channels), width, height);
  if (!pixels || feed.past_end) refuse(name, feed);
  Image image{height, width, channels, {}};
  image.pixels.assign(pixels.get(), pixels.get() + image.height * image.width * channels);
  return image;
}

Image read_image(const std::filesystem::path& file, std::int64_t channels) {
  ByteReader reader = ByteReader::open(file);
  const std::vector<std::uint8_t> bytes = reader.read_up_to(max_image_bytes + 1);
  check(bytes.size() <= max_image_bytes, "{}: expected an image of at most {} MiB, found more",
        reader.name(), max_image_bytes >> 20);
  return read_image(bytes, reader.name(), channels);
}

}  // namespace understudy
