// JPEG: ITU-T recommendation T.81, annex B, https://www.w3.org/Graphics/JPEG/itu-t81.pdf
#include "datasets/jpeg_check.h"

#include <algorithm>

#include "kernels/check.h"

namespace understudy {

namespace {

using Bytes = std::span<const std::uint8_t>;

// Markers, the second of two bytes of which the first is 0xff.
constexpr int first_restart = 0xd0, start_of_image = 0xd8, end_of_image = 0xd9;
constexpr int huffman_tables = 0xc4, start_of_scan = 0xda;

// Each table: a byte, how many codes there are of 1 to 16 bits, a byte for each code.
void check_huffman_tables(Bytes segment, const std::string& name) {
  while (!segment.empty()) {
    std::size_t codes = 0;
    const bool whole = segment.size() >= 17;
    if (whole)
      for (const std::uint8_t count : segment.subspan(1, 16)) codes += count;
    check(whole && codes <= 256 && segment.size() >= 17 + codes,
          "{}: expected JPEG code tables of at most 256 codes, found {} codes in {} bytes", name,
          codes, segment.size());
    segment = segment.subspan(17 + codes);
  }
}

// Where the image data that begin at `at` end: at a marker that is no restart. 0xff is followed by
// 0 where it is part of the data.
std::size_t end_of_data(Bytes bytes, std::size_t at) {
  for (; at + 1 < bytes.size(); ++at) {
    if (bytes[at] != 0xff) continue;
    const int next = bytes[at + 1];
    const bool restart = next >= first_restart && next < start_of_image;
    if (next != 0 && next != 0xff && !restart) return at;
  }
  return bytes.size();
}

}  // namespace

void check_jpeg(Bytes bytes, const std::string& name) {
  bool has_scan = false;
  std::size_t at = 2;  // after the start marker
  while (true) {
    // Bytes that belong to nothing may stand between segments, and 0xff any number of times.
    while (at < bytes.size() && bytes[at] != 0xff) ++at;
    while (at < bytes.size() && bytes[at] == 0xff) ++at;
    check(at < bytes.size(), "{}: expected a whole image, found the end of the file", name);
    const int marker = bytes[at++];
    if (marker == end_of_image) break;
    const Bytes rest = bytes.subspan(at);
    const std::size_t length = rest.size() < 2 ? 0 : std::size_t{256} * rest[0] + rest[1];
    check(rest.size() >= std::max<std::size_t>(2, length),
          "{}: expected a whole image, found the end of the file", name);
    check(length >= 2, "{}: expected a JPEG segment of 2 bytes or more at byte {}, found {}", name,
          at, length);
    if (marker == huffman_tables) check_huffman_tables(rest.subspan(2, length - 2), name);
    at += length;
    if (marker == start_of_scan) {
      has_scan = true;
      at = end_of_data(bytes, at);
    }
  }
  check(has_scan, "{}: expected a whole image, found a JPEG header without image data", name);
}

}  // namespace understudy
