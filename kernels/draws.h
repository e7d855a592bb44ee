// From the words of a Philox block to the random numbers that Backend::uniform and Backend::normal
// describe, on the host and on the device.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/math.h"
#include "kernels/philox.h"

namespace understudy {

// Elements of T that one block gives.
template <class T>
inline constexpr std::int64_t draws_of_block = sizeof(T) == 4 ? 4 : 2;

// A number in [0, 1) from the words of a block. (Apart from uniform_draw: gcc 12 vectorises the loop
// over both only so.)
template <class T>
UNDERSTUDY_HD double uniform_unit(const std::uint32_t (&word)[4], std::int64_t i) {
  if constexpr (sizeof(T) == 4)
    return static_cast<double>(unit_float(word[i]));
  else
    return unit_double(word[2 * i], word[2 * i + 1]);
}
// Number i of a block's uniform draws.
template <class T>
UNDERSTUDY_HD T uniform_draw(const PhiloxBlock& block, std::int64_t i, double low, double span) {
  return static_cast<T>(low + span * uniform_unit<T>(block.word, i));
}

// Two standard normal numbers, in double.
struct NormalPair {
  double first, second;
};

// Box and Muller: u in (0, 1] sets the radius, v in [0, 1) the angle.
UNDERSTUDY_HD NormalPair normal_pair(double u, double v) {
  constexpr double pi = 3.14159265358979323846;
  const double radius = math::sqrt(-2 * math::log(u));
  const double angle = 2 * pi * v;
  return {radius * ::cos(angle), radius * ::sin(angle)};
}

// Pair `pair` of a block: 0 or 1 for float, 0 for double.
template <class T>
UNDERSTUDY_HD NormalPair normal_draw(const PhiloxBlock& block, std::int64_t pair) {
  if constexpr (sizeof(T) == 4) {
    constexpr double unit = 1.0 / 4294967296.0;
    return normal_pair((block.word[2 * pair] + 1.0) * unit, block.word[2 * pair + 1] * unit);
  } else {
    return normal_pair(1.0 - unit_double(block.word[0], block.word[1]),
                       unit_double(block.word[2], block.word[3]));
  }
}

}  // namespace understudy
