// PNG specification, second edition, https://www.w3.org/TR/2003/REC-PNG-20031110/
#include "datasets/png_check.h"

#include <zlib.h>

#include <array>
#include <memory>
#include <string_view>

#include "kernels/check.h"

namespace understudy {

namespace {

std::uint32_t big_endian(std::span<const std::uint8_t> at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
         at[3];
}

// Of the rows of a width x height image, each behind its filter type.
std::uint64_t rows_size(std::uint64_t width, std::uint64_t height, std::uint64_t bits) {
  return width == 0 ? 0 : height * (1 + (width * bits + 7) / 8);
}

// Of an interlaced image: that of seven small ones, with the pixels from (x, y) on in steps.
std::uint64_t interlaced_size(std::uint64_t width, std::uint64_t height, std::uint64_t bits) {
  struct Pass {
    std::uint64_t x, y, x_step, y_step;
  };
  constexpr Pass passes[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                             {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  std::uint64_t total = 0;
  for (const Pass& p : passes)
    total += rows_size((width + p.x_step - 1 - p.x) / p.x_step,
                       (height + p.y_step - 1 - p.y) / p.y_step, bits);
  return total;
}

void read_header(PngParts& parts, std::span<const std::uint8_t> header, const std::string& name) {
  const std::uint64_t width = big_endian(header), height = big_endian(header.subspan(4));
  const int depth = header[8], colour = header[9], interlace = header[12];
  constexpr std::uint64_t channels_of[] = {1, 0, 3, 1, 2, 0, 4};
  check(colour <= 6 && channels_of[colour] > 0,
        "{}: expected a PNG colour type of 0, 2, 3, 4 or 6, found {}", name, colour);
  check(depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16,
        "{}: expected 1, 2, 4, 8 or 16 bits a channel, found {}", name, depth);
  check(interlace <= 1, "{}: expected a PNG interlace method of 0 or 1, found {}", name, interlace);
  check(width > 0 && height > 0, "{}: expected an image of at least 1x1 pixels, found {}x{}", name,
        width, height);
  parts.width = static_cast<std::int64_t>(width);
  parts.height = static_cast<std::int64_t>(height);
  const std::uint64_t bits = channels_of[colour] * static_cast<std::uint64_t>(depth);
  // Beyond this a product could overflow; a caller refuses such sizes before it asks for it.
  if (width <= 1 << 24 && height <= 1 << 24)
    parts.raw_size =
        interlace ? interlaced_size(width, height, bits) : rows_size(width, height, bits);
}

struct InflateEnd {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

}  // namespace

PngParts read_png_parts(std::span<const std::uint8_t> bytes, const std::string& name) {
  constexpr std::size_t signature = 8, around = 12;  // a chunk's length, type and checksum
  PngParts parts;
  bool ended = false;
  for (std::size_t at = signature; !ended;) {
    const std::span<const std::uint8_t> rest = bytes.subspan(at);
    check(rest.size() >= around,
          "{}: expected whole PNG chunks up to IEND, found the end of the file after {} bytes",
          name, bytes.size());
    const std::uint32_t length = big_endian(rest);
    const std::string_view type(reinterpret_cast<const char*>(rest.data()) + 4, 4);
    for (const char letter : type)
      check((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'),
            "{}: expected a PNG chunk at byte {}, found something else", name, at);
    check(length <= rest.size() - around,
          "{}: expected {} bytes in its PNG chunk {}, found the end of the file after {}", name,
          length, type, rest.size() - around);
    const auto data = rest.subspan(8, length);
    const std::uint32_t stored = big_endian(rest.subspan(8 + length));
    const auto sum =
        static_cast<std::uint32_t>(crc32_z(0, rest.data() + 4, static_cast<z_size_t>(length) + 4));
    check(sum == stored, "{}: expected the checksum {:#010x} of its PNG chunk {}, found {:#010x}",
          name, stored, type, sum);

    const bool first = at == signature;
    check(first == (type == "IHDR"),
          "{}: expected one PNG header (IHDR), and first, found {} at byte {}", name, type, at);
    if (first) {
      check(length == 13, "{}: expected a PNG header of 13 bytes, found {}", name, length);
      read_header(parts, data, name);
    } else if (type == "IDAT") {
      parts.data.push_back(data);
    } else if (type == "IEND") {
      ended = true;
    } else {
      // A lower-case first letter says that a reader may leave the chunk out.
      check(type == "PLTE" || (type[0] & 0x20) != 0,
            "{}: expected the critical chunks of the PNG standard, found {}", name, type);
    }
    at += around + length;
  }
  check(!parts.data.empty(), "{}: expected PNG image data (IDAT), found none", name);
  return parts;
}

void check_png_data(const PngParts& parts, const std::string& name) {
  z_stream stream{};
  check(inflateInit(&stream) == Z_OK, "{}: zlib could not start", name);
  const std::unique_ptr<z_stream, InflateEnd> end(&stream);
  std::array<std::uint8_t, 32768> scratch;
  std::uint64_t total = 0;
  int result = Z_OK;
  for (const auto& part : parts.data) {
    stream.next_in = const_cast<std::uint8_t*>(part.data());
    stream.avail_in = static_cast<uInt>(part.size());
    do {
      stream.next_out = scratch.data();
      stream.avail_out = static_cast<uInt>(scratch.size());
      result = inflate(&stream, Z_NO_FLUSH);
      total += scratch.size() - stream.avail_out;
      check(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR,
            "{}: expected {} bytes of PNG image data, found damage after {} ({})", name,
            parts.raw_size, total, stream.msg ? stream.msg : zError(result));
      check(total <= parts.raw_size, "{}: expected {} bytes of PNG image data, found more", name,
            parts.raw_size);
    } while (result == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
    if (result == Z_STREAM_END) break;
  }
  check(result == Z_STREAM_END && total == parts.raw_size,
        "{}: expected {} bytes of PNG image data, found {}", name, parts.raw_size, total);
}

}  // namespace understudy
