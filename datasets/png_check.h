// What stb_image does not look at in a PNG file: checksums, and how much its data grow to.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace understudy {

struct PngParts {
  std::int64_t height = 0, width = 0;
  std::uint64_t raw_size = 0;                       // bytes of the rows with their filter types
  std::vector<std::span<const std::uint8_t>> data;  // what is in the IDAT chunks, borrowed
};

// The parts of a PNG file with its signature, by the chunks' lengths. Error, beginning with `name`,
// for chunks that do not fit the file or their checksums, critical chunks that the standard does
// not know, and a header that is none.
PngParts read_png_parts(std::span<const std::uint8_t> bytes, const std::string& name);

// Error unless the data are a zlib stream, right to its checksum, of exactly raw_size bytes. Takes
// no memory for them, and stops at the first byte too many.
void check_png_data(const PngParts& parts, const std::string& name);

}  // namespace understudy
