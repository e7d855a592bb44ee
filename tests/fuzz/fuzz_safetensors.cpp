// Any bytes either are refused with an Error or parse; what parses is written and read back
// to the same tensors.
#include <cstdlib>
#include <cstring>

#include "engine/safetensors.h"
#include "kernels/check.h"

namespace {

using namespace understudy;

void require(bool condition) {
  if (!condition) std::abort();
}

void require_same(const Safetensors& a, const Safetensors& b) {
  require(a.metadata == b.metadata && a.tensors.size() == b.tensors.size());
  for (const auto& [name, x] : a.tensors) {
    const Tensor& y = b.at(name);
    require(x.shape() == y.shape() && x.dtype() == y.dtype());
    const std::size_t bytes = static_cast<std::size_t>(x.count()) * size_of(x.dtype());
    // Bits, not values: NaN must survive too.
    require(bytes == 0 || std::memcmp(x.view().data, y.view().data, bytes) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Safetensors first;
  try {
    first = parse_safetensors(std::as_bytes(std::span(data, size)), "input");
  } catch (const Error&) {
    return 0;
  }
  require_same(first, parse_safetensors(format_safetensors(first), "written"));
  return 0;
}
