// exp, log, tanh and sqrt as straight-line code, so that loops over them vectorise on every
// instruction set without -ffast-math. float: polynomials after Cephes (S. Moshier), within 2 ulp
// of the exact value over the whole range, denormal results of exp flushed to 0; double: the C
// library. NaN gives NaN, infinities give their limits, log(0) = -inf and log(x < 0) = NaN.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/host_device.h"

namespace understudy::math {

// Not std::bit_cast: a compiler may emit that out of line, and the linker would then share one copy
// between the instruction sets.
UNDERSTUDY_HD std::uint32_t bits_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
UNDERSTUDY_HD float float_of(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

UNDERSTUDY_HD double exp(double x) { return ::exp(x); }
UNDERSTUDY_HD double log(double x) { return ::log(x); }
UNDERSTUDY_HD double tanh(double x) { return ::tanh(x); }
UNDERSTUDY_HD double sqrt(double x) { return ::sqrt(x); }
UNDERSTUDY_HD float sqrt(float x) { return ::sqrtf(x); }

// x = n ln 2 + r with |r| <= ln 2 / 2; exp(x) = 2^n (1 + r + r² P(r)).
UNDERSTUDY_HD float exp(float x) {
  // Beyond these the result is inf or 0; inside, 2^n is a product of two normal floats.
  const float low = -87.33654f, high = 89.0f;
  float c = x < low ? low : x;
  c = c > high ? high : c;
  // Adding 1.5 · 2^23 rounds to an integer, and leaves that integer in the low bits.
  const float shift = 12582912.0f;
  const float shifted = c * 1.44269504f + shift;
  const float n = shifted - shift;
  const float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float y = (p * (r * r) + r) + 1.0f;
  const std::int32_t power = static_cast<std::int32_t>(bits_of(shifted) - bits_of(shift));
  const std::int32_t half = power >> 1;
  const float scale0 = float_of(static_cast<std::uint32_t>(half + 127) << 23);
  const float scale1 = float_of(static_cast<std::uint32_t>(power - half + 127) << 23);
  const float result = y * scale0 * scale1;
  return x < low ? 0.0f : result;
}

// x = 2^e m with sqrt(1/2) <= m < sqrt(2); log(x) = e ln 2 + log(m), the latter a
// polynomial in m - 1.
UNDERSTUDY_HD float log(float x) {
  const float smallest_normal = 1.17549435e-38f, two_to_23 = 8388608.0f;
  const bool tiny = x < smallest_normal;
  const float scaled = tiny ? x * two_to_23 : x;
  // Taking off the bits of sqrt(1/2) leaves e in the exponent field, rounded down.
  const std::uint32_t offset = bits_of(scaled) - 0x3F3504F3u;
  const std::int32_t e = static_cast<std::int32_t>(offset) >> 23;
  const float m = float_of((offset & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  const float exponent = static_cast<float>(e) - (tiny ? 23.0f : 0.0f);
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = p * m * z;
  y = y + exponent * -2.12194440e-4f;
  y = y - 0.5f * z;
  float result = (m + y) + exponent * 0.693359375f;
  const float infinity = float_of(0x7F800000u), nan = float_of(0x7FC00000u);
  result = x == infinity ? infinity : result;
  result = x == 0.0f ? -infinity : result;
  return x < 0.0f || x != x ? nan : result;
}

// |x| < 0.625: x + x³ P(x²); else 1 - 2 / (exp(2|x|) + 1) with the sign of x.
UNDERSTUDY_HD float tanh(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float size = x < 0.0f ? -x : x;
  const float far = 1.0f - 2.0f / (exp(size + size) + 1.0f);
  const float signed_far = x < 0.0f ? -far : far;
  return size < 0.625f ? near : signed_far;
}

}  // namespace understudy::math
