// What the emulated libraries have in common: their manners, and the numbers of tensor cores.
#include <bit>
#include <cmath>
#include <cstdint>

#include "emulated_libraries.h"

namespace emulated {
namespace {

LibraryManners manners;

}  // namespace

void set_library_manners(const LibraryManners& wanted) { manners = wanted; }
const LibraryManners& library_manners() { return manners; }
LibraryCounts& library_counts() {
  static LibraryCounts counts;
  return counts;
}

// To nearest, ties to even, by adding half of the last bit that stays.
float to_tf32(float x) {
  if (!std::isfinite(x)) return x;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits + 0xFFFu + (bits >> 13 & 1u)) & ~0x1FFFu);
}
float from_bf16(unsigned short bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
// By the arithmetic of double, unlike the kernels' way with bits.
unsigned short to_bf16(float x) {
  if (std::isnan(x)) return 0x7FC0;
  const auto cut = static_cast<unsigned short>(std::bit_cast<std::uint32_t>(x) >> 16);
  if (std::isinf(x)) return cut;
  const auto next = static_cast<unsigned short>(cut + 1);  // away from zero; may be infinite
  const double low = std::abs(double{from_bf16(cut)}), exact = std::abs(double{x});
  const double high =
      (next & 0x7FFF) == 0x7F80 ? std::ldexp(1.0, 128) : std::abs(double{from_bf16(next)});
  const double below = exact - low, above = high - exact;
  return below < above || (below == above && cut % 2 == 0) ? cut : next;
}

}  // namespace emulated
