// Any bytes are a file of convolution plans, if one without any: what is read is what is written of
// it, and nothing is thrown.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernels/cuda/plan_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy::cuda;
  const Plans plans = parse_plans({reinterpret_cast<const char*>(data), size});
  if (parse_plans(plans_text(plans)) != plans) std::abort();
  for (const auto& [key, plan] : plans)
    if (parse_plan(to_string(plan)) != plan) std::abort();
  return 0;
}
