// The IDX reader: what it accepts, and one line of text for everything else.
#include "datasets/idx.h"

#include <doctest/doctest.h>

#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

IdxArray parse(const Bytes& bytes, int rank) {
  ByteReader reader = ByteReader::over(bytes, "FILE");
  return read_idx(reader, rank);
}

std::string error(const Bytes& bytes, int rank = 3) {
  return error_of([&] { parse(bytes, rank); });
}

Bytes with_header(const std::vector<std::uint32_t>& sizes) {
  Bytes bytes = idx(std::vector<std::uint32_t>(sizes.size(), 0));
  for (std::size_t i = 0; i < sizes.size(); ++i)
    for (std::size_t b = 0; b < 4; ++b)
      bytes[4 + 4 * i + b] = static_cast<std::uint8_t>(sizes[i] >> (24 - 8 * b));
  return bytes;
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("idx: sizes and values, plain and gzip") {
  const Bytes bytes = idx({2, 3, 4});
  for (const Bytes& contents : {bytes, gzip(bytes)}) {
    const IdxArray array = parse(contents, 3);
    CHECK(array.sizes == std::vector<std::int64_t>{2, 3, 4});
    REQUIRE(array.values.size() == 24);
    for (std::size_t i = 0; i < 24; ++i) CHECK(array.values[i] == i % 10);
  }
  CHECK(parse(idx({5}), 1).values == Bytes{0, 1, 2, 3, 4});
  CHECK(parse(idx({0, 28, 28}), 3).values.empty());
}

TEST_CASE("idx: gzip is recognised by its contents, in one or several members") {
  const TemporaryFolder folder;
  const Bytes bytes = idx({3, 2, 2});
  CHECK(read_idx(write(folder, "gzip-without-suffix", gzip(bytes)), 3).values.size() == 12);
  CHECK(read_idx(write(folder, "plain.gz", bytes), 3).values.size() == 12);
  Bytes members = gzip(std::span(bytes).first(10));
  const Bytes second = gzip(std::span(bytes).subspan(10));
  members.insert(members.end(), second.begin(), second.end());
  CHECK(parse(members, 3).values == parse(bytes, 3).values);
}

TEST_CASE("idx: contents larger than every buffer") {
  const Bytes bytes = idx({300, 100, 100}, 251);
  CHECK(parse(bytes, 3).values == Bytes(bytes.begin() + 16, bytes.end()));
  CHECK(parse(gzip(bytes), 3).values == Bytes(bytes.begin() + 16, bytes.end()));
}

TEST_CASE("idx: no file") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "absent").string();
  CHECK(error_of([&] { read_idx(file, 3); }) == file + ": expected a file, found none");
  CHECK(error_of([&] { read_idx(folder.path(), 3); }) ==
        folder.path().string() + ": expected a file, found a folder");
}

TEST_CASE("idx: wrong magic") {
  Bytes bytes = idx({2, 2, 2});
  CHECK(error(bytes, 1) ==
        "FILE: expected IDX magic 0x00000801 (unsigned bytes, 1 dimensions), found 0x00000803");
  bytes[2] = 0x0d;  // floats
  CHECK(error(bytes) ==
        "FILE: expected IDX magic 0x00000803 (unsigned bytes, 3 dimensions), found 0x00000d03");
  CHECK(contains(error({'<', 'h', 't', 'm', 'l', '>'}), "found 0x3c68746d"));
}

TEST_CASE("idx: header cut short") {
  CHECK(error({}) == "FILE: expected an IDX header of 16 bytes, found 0 bytes");
  Bytes bytes = idx({2, 2, 2});
  for (std::size_t size = 0; size < 16; ++size)
    CHECK(error(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(size))) ==
          fmt::format("FILE: expected an IDX header of 16 bytes, found {} bytes", size));
}

TEST_CASE("idx: sizes that disagree with the file's size") {
  Bytes bytes = idx({2, 2, 2});
  bytes.push_back(0);
  CHECK(error(bytes) == "FILE: expected 24 bytes (a header of 16, then 2x2x2), found 25 bytes");
  CHECK(error(gzip(bytes)) == "FILE: expected 24 bytes (a header of 16, then 2x2x2), found more");
  bytes.resize(23);
  CHECK(error(bytes) == "FILE: expected 24 bytes (a header of 16, then 2x2x2), found 23 bytes");
  CHECK(error(gzip(bytes)) ==
        "FILE: expected 24 bytes (a header of 16, then 2x2x2), found 23 bytes");
}

TEST_CASE("idx: sizes that overflow") {
  const std::uint32_t big = 0xffffffff;
  CHECK(
      error(with_header({big, big, big})) ==
      "FILE: expected sizes whose product fits in 63 bits, found 4294967295x4294967295x4294967295");
  // 2^63: overflows the signed type only. 2^63 - 2^31: does not overflow at all.
  CHECK(contains(error(with_header({1u << 31, 1u << 31, 2})), "product fits in 63 bits"));
  CHECK(contains(error(with_header({1u << 31, big, 1})), "found 16 bytes"));
}

TEST_CASE("idx: memory follows the contents, not the header") {
  // 2^62 bytes declared and nothing there: allocating that would throw std::bad_alloc, not Error.
  const Bytes bytes = with_header({1u << 31, 1u << 31, 1});
  CHECK(contains(error(bytes), "found 16 bytes"));
  CHECK(contains(error(gzip(bytes)), "found 16 bytes"));
  // 64 MiB of zeros in 64 KiB behind a header that declares one byte.
  Bytes bomb = with_header({1, 1, 1});
  bomb.resize(std::size_t{64} << 20);
  const Bytes small = gzip(bomb);
  CHECK(small.size() < 100000);
  CHECK(error(small) == "FILE: expected 17 bytes (a header of 16, then 1x1x1), found more");
}

TEST_CASE("idx: damaged gzip") {
  const Bytes good = gzip(idx({20, 10, 10}, 251));
  for (std::size_t size = 2; size < good.size(); ++size) {
    const std::string text = error(Bytes(good.begin(), good.begin() + static_cast<long>(size)));
    CHECK(contains(text, "FILE: expected a complete gzip stream, found the end after "));
  }
  Bytes bad = good;
  bad[good.size() - 8] ^= 1;  // the CRC
  CHECK(error(bad) ==
        "FILE: expected valid gzip data, found damage after 2016 bytes of contents (incorrect data "
        "check)");
  bad = good;
  bad[good.size() - 1] ^= 1;  // the length
  CHECK(contains(error(bad), "(incorrect length check)"));
  bad = good;
  bad[2] = 7;  // the method
  CHECK(contains(error(bad), "(unknown compression method)"));
  bad = good;
  bad.push_back('x');
  CHECK(error(bad) == "FILE: expected the end of the file after the gzip data, found more bytes");
}

TEST_SUITE_END();
