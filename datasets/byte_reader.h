// The contents of a file, plain or gzip, a piece at a time, so that a parser never holds more than
// it asked for, whatever the file claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace understudy {

class ByteReader {
 public:
  // Writes up to out.size() bytes and returns how many; 0 at the end only. Throws on failure.
  using Source = std::function<std::size_t(std::span<std::uint8_t> out)>;

  // Contents that begin with gzip's two magic bytes are decompressed, checksum and all, whatever
  // the file is called. `name` stands in messages; `size`: the source's bytes when known.
  ByteReader(std::string name, Source source, std::optional<std::uint64_t> size = {});
  ~ByteReader();
  ByteReader(ByteReader&&) noexcept;
  ByteReader& operator=(ByteReader&&) noexcept;

  // Error when there is no file, or something that is not a file.
  static ByteReader open(const std::filesystem::path& file);
  // `bytes` is borrowed.
  static ByteReader over(std::span<const std::uint8_t> bytes, std::string name);

  const std::string& name() const;
  // Bytes of decoded contents, known beforehand only when they are not compressed.
  std::optional<std::uint64_t> size() const;

  // Fills `out` unless the contents end first; returns the bytes written. Error for gzip data that
  // are damaged, truncated or followed by something else.
  std::size_t read(std::span<std::uint8_t> out);
  // Reads `limit` bytes, or what is left when that is less. Memory grows with what
  // arrives, not with `limit`.
  std::vector<std::uint8_t> read_up_to(std::uint64_t limit);
  // True when nothing is left. Only after that is a gzip checksum known to be right.
  bool at_end();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace understudy
