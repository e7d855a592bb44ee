#include "datasets/byte_reader.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "kernels/check.h"

namespace understudy {

namespace fs = std::filesystem;

struct ByteReader::State {
  std::string name;
  Source source;
  std::optional<std::uint64_t> size;
  std::array<std::uint8_t, 65536> input;  // bytes of the source, not yet delivered
  std::size_t begin = 0, end = 0;
  bool gzip = false;
  bool member_ended = false;  // a gzip file is one or more members
  std::uint64_t decoded = 0;
  z_stream inflater{};

  ~State() {
    if (gzip) inflateEnd(&inflater);
  }

  bool refill() {
    begin = 0;
    end = source(input);
    return end > 0;
  }

  std::size_t read_plain(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
      if (begin == end && !refill()) break;
      const std::size_t n = std::min(out.size() - done, end - begin);
      std::memcpy(out.data() + done, input.data() + begin, n);
      begin += n;
      done += n;
    }
    return done;
  }

  std::size_t read_gzip(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
      if (begin == end && !refill()) {
        check(member_ended,
              "{}: expected a complete gzip stream, found the end after {} bytes of contents", name,
              decoded);
        break;
      }
      if (member_ended) {
        check(input[begin] == 0x1f,
              "{}: expected the end of the file after the gzip data, found more bytes", name);
        inflateReset(&inflater);
        member_ended = false;
      }
      // 1 GiB at a time: zlib counts in 32 bits.
      const std::size_t room = std::min<std::size_t>(out.size() - done, std::size_t{1} << 30);
      inflater.next_in = input.data() + begin;
      inflater.avail_in = static_cast<uInt>(end - begin);
      inflater.next_out = out.data() + done;
      inflater.avail_out = static_cast<uInt>(room);
      const int result = inflate(&inflater, Z_NO_FLUSH);
      begin = end - inflater.avail_in;
      done += room - inflater.avail_out;
      decoded += room - inflater.avail_out;
      if (result == Z_STREAM_END) {
        member_ended = true;
      } else {
        check(result == Z_OK || result == Z_BUF_ERROR,
              "{}: expected valid gzip data, found damage after {} bytes of contents ({})", name,
              decoded, inflater.msg ? inflater.msg : zError(result));
      }
    }
    return done;
  }
};

ByteReader::ByteReader(std::string name, Source source, std::optional<std::uint64_t> size)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.name = std::move(name);
  s.source = std::move(source);
  // Two bytes decide, and a source may deliver one at a time.
  while (s.end < 2) {
    const std::size_t n = s.source(std::span(s.input).subspan(s.end));
    if (n == 0) break;
    s.end += n;
  }
  if (s.end >= 2 && s.input[0] == 0x1f && s.input[1] == 0x8b) {
    // 16: a gzip wrapper, not zlib's.
    check(inflateInit2(&s.inflater, MAX_WBITS + 16) == Z_OK, "{}: zlib could not start", s.name);
    s.gzip = true;
  } else {
    s.size = size;
  }
}

ByteReader::~ByteReader() = default;
ByteReader::ByteReader(ByteReader&&) noexcept = default;
ByteReader& ByteReader::operator=(ByteReader&&) noexcept = default;

ByteReader ByteReader::open(const fs::path& file) {
  const std::string name = file.string();
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  check(fs::exists(status), "{}: expected a file, found none", name);
  check(fs::is_regular_file(status), "{}: expected a file, found {}", name,
        fs::is_directory(status) ? "a folder" : "something else");
  const std::shared_ptr<std::FILE> handle(std::fopen(name.c_str(), "rb"), [](std::FILE* f) {
    if (f) std::fclose(f);
  });
  check(handle != nullptr, "{}: expected a readable file, found: {}", name, std::strerror(errno));
  const std::uint64_t size = fs::file_size(file, error);
  check(!error, "{}: expected a readable file, found: {}", name, error.message());
  Source source = [handle, name](std::span<std::uint8_t> out) {
    const std::size_t n = std::fread(out.data(), 1, out.size(), handle.get());
    check(n > 0 || !std::ferror(handle.get()), "{}: reading failed: {}", name,
          std::strerror(errno));
    return n;
  };
  return ByteReader(name, std::move(source), size);
}

ByteReader ByteReader::over(std::span<const std::uint8_t> bytes, std::string name) {
  const std::uint64_t size = bytes.size();
  Source source = [bytes](std::span<std::uint8_t> out) mutable {
    const std::size_t n = std::min(out.size(), bytes.size());
    std::copy_n(bytes.begin(), n, out.begin());
    bytes = bytes.subspan(n);
    return n;
  };
  return ByteReader(std::move(name), std::move(source), size);
}

const std::string& ByteReader::name() const { return state_->name; }

std::optional<std::uint64_t> ByteReader::size() const { return state_->size; }

std::size_t ByteReader::read(std::span<std::uint8_t> out) {
  return state_->gzip ? state_->read_gzip(out) : state_->read_plain(out);
}

std::vector<std::uint8_t> ByteReader::read_up_to(std::uint64_t limit) {
  std::vector<std::uint8_t> bytes;
  std::uint64_t room = std::uint64_t{1} << 20;
  while (bytes.size() < limit) {
    const std::size_t old = bytes.size();
    bytes.resize(std::min(limit, room));
    const std::size_t n = read(std::span(bytes).subspan(old));
    if (old + n < bytes.size()) {
      bytes.resize(old + n);
      break;
    }
    room *= 2;
  }
  return bytes;
}

bool ByteReader::at_end() {
  State& s = *state_;
  if (!s.gzip) return s.begin == s.end && !s.refill();
  std::uint8_t one;
  return read({&one, 1}) == 0;
}

}  // namespace understudy
