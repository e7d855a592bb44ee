// IDX, the format of MNIST's files: two zero bytes, the element type, the number of dimensions, the
// sizes as big-endian 32-bit integers, the elements in row-major order.
// http://yann.lecun.com/exdb/mnist/
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "datasets/byte_reader.h"

namespace understudy {

struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> values;  // the product of `sizes`
};

// Reads unsigned bytes with `rank` dimensions. Error when the contents are not exactly that: wrong
// magic, sizes whose product overflows, fewer or more bytes than the sizes declare, damaged gzip.
IdxArray read_idx(ByteReader& reader, int rank);
IdxArray read_idx(const std::filesystem::path& file, int rank);  // plain or gzip

}  // namespace understudy
