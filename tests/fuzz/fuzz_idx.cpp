// Any bytes either are refused with an Error or are an IDX array whose sizes and values agree.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "datasets/idx.h"
#include "kernels/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  for (int rank : {1, 3}) {
    try {
      ByteReader reader = ByteReader::over({data, size}, "input");
      const IdxArray array = read_idx(reader, rank);
      std::uint64_t count = 1;
      for (const std::int64_t n : array.sizes) count *= static_cast<std::uint64_t>(n);
      if (array.sizes.size() != static_cast<std::size_t>(rank) || array.values.size() != count)
        std::abort();
    } catch (const Error&) {
    }
  }
  return 0;
}
