// How convolutions are shared between threads.
#pragma once

#include "kernels/conv_shape.h"

namespace understudy::cpu {

// Multiply-adds that are worth a thread.
inline constexpr std::int64_t conv_grain = 1 << 17;

}  // namespace understudy::cpu
