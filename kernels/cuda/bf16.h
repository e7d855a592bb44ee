// bfloat16: the upper half of a float32, rounded to nearest, ties to even. By hand, so that the same
// bits come out wherever it is compiled; what converts is bound by memory, not by these few steps.
#pragma once

#include "kernels/math.h"

namespace understudy::cuda {

struct Bf16 {
  std::uint16_t bits;
};

UNDERSTUDY_HD Bf16 to_bf16(float x) {
  const std::uint32_t bits = math::bits_of(x);
  // A NaN keeps its sign and stays one.
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x0040u)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
}
UNDERSTUDY_HD float to_float(Bf16 x) {
  return math::float_of(static_cast<std::uint32_t>(x.bits) << 16);
}

// From one element type of a kernel to another.
template <class To, class From>
struct Convert {
  UNDERSTUDY_HD static To from(From x) { return x; }
};
template <>
struct Convert<Bf16, float> {
  UNDERSTUDY_HD static Bf16 from(float x) { return to_bf16(x); }
};
template <>
struct Convert<float, Bf16> {
  UNDERSTUDY_HD static float from(Bf16 x) { return to_float(x); }
};

}  // namespace understudy::cuda
