#include "datasets/idx.h"

#include <fmt/ranges.h>

#include <limits>

#include "kernels/check.h"

namespace understudy {

IdxArray read_idx(ByteReader& reader, int rank) {
  const std::string& file = reader.name();
  const std::uint64_t header_size = 4 + 4 * static_cast<std::uint64_t>(rank);
  const std::vector<std::uint8_t> header = reader.read_up_to(header_size);

  const std::uint32_t want = 0x0800u + static_cast<std::uint32_t>(rank);
  if (header.size() >= 4) {
    const std::uint32_t magic = std::uint32_t{header[0]} << 24 | std::uint32_t{header[1]} << 16 |
                                std::uint32_t{header[2]} << 8 | header[3];
    check(magic == want,
          "{}: expected IDX magic {:#010x} (unsigned bytes, {} dimensions), found {:#010x}", file,
          want, rank, magic);
  }
  check(header.size() == header_size, "{}: expected an IDX header of {} bytes, found {} bytes",
        file, header_size, header.size());

  IdxArray array;
  std::uint64_t count = 1;
  bool fits = true;
  for (int axis = 0; axis < rank; ++axis) {
    const std::uint8_t* at = header.data() + 4 + 4 * axis;
    const std::uint64_t size =
        std::uint64_t{at[0]} << 24 | std::uint64_t{at[1]} << 16 | std::uint64_t{at[2]} << 8 | at[3];
    array.sizes.push_back(static_cast<std::int64_t>(size));
    fits = fits && !__builtin_mul_overflow(count, size, &count);
  }
  // Room for the header too, so that the file's size can be written down.
  fits = fits && count <= std::uint64_t{std::numeric_limits<std::int64_t>::max()} - header_size;
  const std::string sizes = fmt::format("{}", fmt::join(array.sizes, "x"));
  check(fits, "{}: expected sizes whose product fits in 63 bits, found {}", file, sizes);

  const std::uint64_t total = header_size + count;
  if (reader.size()) {
    check(*reader.size() == total,
          "{}: expected {} bytes (a header of {}, then {}), found {} bytes", file, total,
          header_size, sizes, *reader.size());
  }
  array.values = reader.read_up_to(count);
  check(array.values.size() == count,
        "{}: expected {} bytes (a header of {}, then {}), found {} bytes", file, total, header_size,
        sizes, header_size + array.values.size());
  check(reader.at_end(), "{}: expected {} bytes (a header of {}, then {}), found more", file, total,
        header_size, sizes);
  return array;
}

IdxArray read_idx(const std::filesystem::path& file, int rank) {
  ByteReader reader = ByteReader::open(file);
  return read_idx(reader, rank);
}

}  // namespace understudy
