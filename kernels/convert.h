// Conversions between element types, on the host and on the device.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace understudy {

// Floating to integer truncates; what does not fit becomes the nearest that does, NaN becomes 0.
template <class To, class From>
UNDERSTUDY_HD To converted(From x) {
  constexpr bool from_floating = From(0.5) != From(0), to_floating = To(0.5) != To(0);
  if constexpr (from_floating && !to_floating) {
    constexpr int bits = sizeof(To) * 8;
    constexpr bool has_sign = To(-1) < To(0);
    // Both are powers of two, exact in From; `above` is one more than the largest To.
    constexpr From above = From(2) * From(std::uint64_t{1} << (bits - (has_sign ? 2 : 1)));
    constexpr From lowest = has_sign ? -above : From(0);
    constexpr To largest = has_sign ? To((std::uint64_t{1} << (bits - 1)) - 1) : To(~To(0));
    constexpr To smallest = has_sign ? To(-largest - 1) : To(0);
    if (x != x) return To(0);
    if (x >= above) return largest;
    if (x <= lowest) return smallest;
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace understudy
