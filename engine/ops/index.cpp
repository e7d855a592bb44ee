#include "engine/ops/index.h"

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

void check_index(const char* op, const Tensor& index, std::int64_t bound) {
  if (index.device() != Device{}) return;
  const Tensor dense = contiguous(index);
  const std::span<const std::int64_t> values = dense.data<std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    check(values[i] >= 0 && values[i] < bound, "[{}] index {} at position {} is outside [0, {})",
          op, values[i], i, bound);
}

}  // namespace understudy
