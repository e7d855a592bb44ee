#include "engine/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>
#include <system_error>

#include "engine/atomic_file.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/safetensors_header.h"
#include "kernels/check.h"

namespace understudy {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian, and elements are copied as they are");

// Fills `into` with the bytes from `offset`; Error when they are not there.
using Source = std::function<void(std::uint64_t offset, std::span<std::byte> into)>;
using Sink = std::function<void(std::span<const std::byte> bytes)>;

float float_from_half(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
  const std::uint32_t exponent = half >> 10 & 0x1f;
  const std::uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: a multiple of 2^-24, exact in float
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
  }
  const std::uint32_t biased = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | biased << 23 | mantissa << 13);
}

float float_from_bfloat(std::uint16_t bfloat) {
  return std::bit_cast<float>(std::uint32_t{bfloat} << 16);
}

// Reads 16-bit floats in pieces, so that they never stand in memory twice.
void read_widened(const Source& source, std::uint64_t offset, std::span<float> out, bool bfloat) {
  std::uint16_t piece[4096];
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), std::size(piece));
    source(offset, std::as_writable_bytes(std::span(piece, count)));
    std::transform(piece, piece + count, out.begin(), bfloat ? float_from_bfloat : float_from_half);
    offset += count * sizeof(std::uint16_t);
    out = out.subspan(count);
  }
}

Safetensors read_from(const Source& source, std::uint64_t size, const std::string& file) {
  check(size >= 8, "{}: expected a safetensors file, found only {} bytes", file, size);
  std::uint64_t header_bytes = 0;
  source(0, std::as_writable_bytes(std::span(&header_bytes, 1)));
  check(header_bytes <= max_safetensors_header,
        "{}: expected a header of at most {} bytes, found a length of {}; is this a safetensors "
        "file?",
        file, max_safetensors_header, header_bytes);
  check(header_bytes <= size - 8,
        "{}: expected a header of {} bytes, found {} in the file; it is cut off or no safetensors "
        "file",
        file, header_bytes, size - 8);
  std::string json(header_bytes, ' ');
  source(8, std::as_writable_bytes(std::span(json)));
  const std::uint64_t data = 8 + header_bytes;
  SafetensorsHeader header = parse_safetensors_header(json, size - data, file);

  Safetensors result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(header.entries.size());
  for (SafetensorsEntry& entry : header.entries) {
    Tensor tensor = Tensor::empty(entry.shape, entry.type->dtype);
    if (entry.end > entry.begin) {
      void* elements = tensor.mutable_view().data;
      if (entry.type->bytes == size_of(entry.type->dtype))
        source(data + entry.begin, {static_cast<std::byte*>(elements), entry.end - entry.begin});
      else
        read_widened(source, data + entry.begin, tensor.mutable_data<float>(),
                     entry.type->name == "BF16");
    }
    result.tensors.emplace_back(std::move(entry.name), std::move(tensor));
  }
  return result;
}

// The reference sorts its files by type, widest first, and then by name: data start aligned. This
// is its order of the types that we write.
int rank_of(DType dtype) {
  switch (dtype) {
    case DType::i64:
      return 0;
    case DType::f64:
      return 1;
    case DType::f32:
      return 2;
    case DType::i32:
      return 3;
    case DType::u8:
      return 4;
  }
  return 5;
}

void write_to(const Sink& sink, const Safetensors& content, const std::string& file) {
  std::vector<const std::pair<std::string, Tensor>*> order;
  for (const auto& named : content.tensors) {
    check(named.second.defined(), "{}: tensor {} is undefined", file, quote_text(named.first));
    check(named.first != "__metadata__", "{}: no tensor can be called \"__metadata__\"", file);
    order.push_back(&named);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(rank_of(a->second.dtype()), std::string_view(a->first)) <
           std::pair(rank_of(b->second.dtype()), std::string_view(b->first));
  });
  SafetensorsHeader header{{}, content.metadata};
  std::uint64_t next = 0;
  for (const auto* named : order) {
    const Tensor& tensor = named->second;
    const std::uint64_t bytes =
        static_cast<std::uint64_t>(tensor.count()) * size_of(tensor.dtype());
    header.entries.push_back(
        {named->first, &safetensors_type(tensor.dtype()), tensor.shape(), next, next + bytes});
    next += bytes;
  }
  check_unique_names(header.entries, file);
  const std::string json = format_safetensors_header(header, file);
  const std::uint64_t header_bytes = json.size();
  sink(std::as_bytes(std::span(&header_bytes, 1)));
  sink(std::as_bytes(std::span(json)));
  const NoGradGuard guard;
  for (const auto* named : order) {
    Tensor tensor = named->second;
    if (tensor.device() != Device{}) tensor = to(tensor, Device{});
    tensor = contiguous(tensor);
    const auto* elements = static_cast<const std::byte*>(tensor.view().data);
    const std::size_t bytes = static_cast<std::size_t>(tensor.count()) * size_of(tensor.dtype());
    if (bytes > 0) sink({elements, bytes});
  }
}

class ReadFile {
 public:
  explicit ReadFile(const std::filesystem::path& path) : name_(path.string()) {
    // Asked before opening: opening a pipe would wait for its other end.
    std::error_code error;
    const auto kind = std::filesystem::status(path, error).type();
    check(kind != std::filesystem::file_type::not_found, "{}: no such file", name_);
    check(kind == std::filesystem::file_type::regular, "{}: expected a regular file, found {}",
          name_, error ? error.message() : "something else");
    file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    check(file_ != -1, "{}: cannot be opened: {}", name_, reason());
  }
  ~ReadFile() {
    if (file_ != -1) ::close(file_);
  }
  ReadFile(const ReadFile&) = delete;
  ReadFile& operator=(const ReadFile&) = delete;

  std::uint64_t size() const {
    struct stat status {};
    check(::fstat(file_, &status) == 0, "{}: its size cannot be read: {}", name_, reason());
    return static_cast<std::uint64_t>(status.st_size);
  }
  void read(std::uint64_t offset, std::span<std::byte> into) const {
    while (!into.empty()) {
      const ssize_t got = ::pread(file_, into.data(), into.size(), static_cast<off_t>(offset));
      if (got == -1 && errno == EINTR) continue;
      check(got != -1, "{}: reading failed at byte {}: {}", name_, offset, reason());
      check(got > 0,
            "{}: expected {} more bytes at byte {}, found the end; was it changed just now?", name_,
            into.size(), offset);
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
  }

 private:
  static std::string reason() { return std::generic_category().message(errno); }
  std::string name_;
  int file_ = -1;
};

}  // namespace

const Tensor* Safetensors::find(const std::string& name) const {
  for (const auto& [key, tensor] : tensors)
    if (key == name) return &tensor;
  return nullptr;
}

const Tensor& Safetensors::at(const std::string& name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(tensors.size(), 20); ++i)
    names += (i ? ", " : "") + tensors[i].first;
  if (tensors.size() > 20) names += fmt::format(" and {} more", tensors.size() - 20);
  fail("no tensor {}; there are {}", quote_text(name), tensors.empty() ? "none" : names);
}

Safetensors read_safetensors(const std::filesystem::path& path) {
  const ReadFile file(path);
  const auto read = [&](std::uint64_t offset, std::span<std::byte> into) {
    file.read(offset, into);
  };
  return read_from(read, file.size(), path.string());
}

Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  const auto copy = [&](std::uint64_t offset, std::span<std::byte> into) {
    if (!into.empty()) std::memcpy(into.data(), bytes.data() + offset, into.size());
  };
  return read_from(copy, bytes.size(), name);
}

void write_safetensors(const std::filesystem::path& path, const Safetensors& content) {
  AtomicFile file(path);
  write_to([&](std::span<const std::byte> bytes) { file.write(bytes); }, content, path.string());
  file.commit();
}

std::vector<std::byte> format_safetensors(const Safetensors& content) {
  std::vector<std::byte> result;
  write_to([&](auto bytes) { result.insert(result.end(), bytes.begin(), bytes.end()); }, content,
           "safetensors");
  return result;
}

}  // namespace understudy
