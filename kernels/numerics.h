// How a device computes products and convolutions.
#pragma once

#include <cstdint>
#include <string_view>

namespace understudy {

// The arithmetic of products and convolutions of float32 tensors. Everything else (weights, norms,
// losses, reductions, optimisers) is float32 whatever this says, and sums are float32 or wider.
enum class Precision : std::uint8_t {
  fp32,  // true float32
  tf32,  // factors rounded or cut to 10 bits of mantissa on their way into tensor cores
  bf16,  // factors rounded to bfloat16, 7 bits of mantissa
};
const char* to_string(Precision precision);
Precision parse_precision(std::string_view text);  // UsageError for another word

struct Numerics {
  Precision precision = Precision::fp32;
  bool deterministic = true;  // only algorithms that give the same bits every time
};

}  // namespace understudy
