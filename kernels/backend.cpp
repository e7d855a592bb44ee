// The one place that knows which devices this build has.
#include "kernels/backend.h"

#include <charconv>

#include "kernels/check.h"
#include "kernels/cpu/cpu_backend.h"

namespace understudy {

Device parse_device(std::string_view text) {
  if (text == "cpu") return {DeviceKind::cpu, 0};
  if (text == "cuda") return {DeviceKind::cuda, 0};
  constexpr std::string_view prefix = "cuda:";
  if (text.starts_with(prefix)) {
    const char* const end = text.data() + text.size();
    int index = 0;
    const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, index);
    if (error == std::errc() && stop == end && index >= 0) return {DeviceKind::cuda, index};
  }
  throw UsageError(
      fmt::format("unknown device '{}': expected 'cpu', 'cuda' or 'cuda:1' (any number)", text));
}

std::string to_string(Device device) {
  return device.kind == DeviceKind::cpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

Backend& backend(Device device) {
  if (device.kind == DeviceKind::cpu) {
    static cpu::CpuBackend instance;
    return instance;
  }
  throw UsageError(
      fmt::format("device '{}' was asked for, but this program was built without CUDA; use 'cpu'",
                  to_string(device)));
}

}  // namespace understudy
