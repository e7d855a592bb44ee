#include "kernels/numerics.h"

#include "kernels/check.h"

namespace understudy {

const char* to_string(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return "fp32";
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
  }
  return "unknown";
}

Precision parse_precision(std::string_view text) {
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
    if (text == to_string(precision)) return precision;
  throw UsageError(fmt::format("precision '{}': expected fp32, tf32 or bf16", text));
}

}  // namespace understudy
