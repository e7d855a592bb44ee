// Range checks of integer tensors, once per op that indexes with one.
#pragma once

#include <cstdint>

#include "engine/tensor.h"

namespace understudy {

// Error "[op] index 12 at position 3 is outside [0, 10)" unless every element is in [0, bound).
// On a device other than the CPU the kernels check; reading back would stop the stream.
void check_index(const char* op, const Tensor& index, std::int64_t bound);

}  // namespace understudy
