// Small files for the tests of datasets/, valid unless a test breaks them.
#pragma once

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/temporary_folder.h"

namespace understudy::testing {

using Bytes = std::vector<std::uint8_t>;

// Makes the folders on the way.
inline std::filesystem::path write(const TemporaryFolder& folder, const std::string& name,
                                   std::span<const std::uint8_t> bytes) {
  const std::filesystem::path file = folder.path() / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  REQUIRE(out.good());
  return file;
}

inline Bytes gzip(std::span<const std::uint8_t> bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<std::uint8_t*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// A header for `sizes`, then the values 0, 1, 2 ... modulo `modulus`, as many as the sizes declare.
inline Bytes idx(const std::vector<std::uint32_t>& sizes, int modulus = 10) {
  Bytes bytes = {0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  std::size_t count = 1;
  for (const std::uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<std::uint8_t>(size >> shift));
    count *= size;
  }
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(i % modulus));
  return bytes;
}

// Records of CIFAR-10's binary version: label i mod 10, byte p of record i is (7i + p) mod 251.
inline Bytes cifar_records(int count) {
  Bytes bytes;
  for (int i = 0; i < count; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(i % 10));
    for (int p = 0; p < 3072; ++p) bytes.push_back(static_cast<std::uint8_t>((7 * i + p) % 251));
  }
  return bytes;
}

// The text of the Error that `action` throws; "" when it throws none. Always one line.
template <class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace understudy::testing
