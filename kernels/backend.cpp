// The one place that knows which devices this build has.
#include "kernels/backend.h"

#include <array>
#include <atomic>
#include <charconv>
#include <mutex>

#include "kernels/check.h"
#include "kernels/cpu/cpu_backend.h"
#ifdef UNDERSTUDY_WITH_CUDA
#include "kernels/cuda/cuda_backend.h"
#endif

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

#ifdef UNDERSTUDY_WITH_CUDA
namespace {

// Made at first use and never destroyed: tensors in static storage may outlive every other object.
Backend& cuda_backend(Device device) {
  constexpr int most = 64;
  static std::array<std::atomic<Backend*>, most> made;
  check(device.index < most, "device '{}': expected cuda:0 to cuda:{}", to_string(device),
        most - 1);
  std::atomic<Backend*>& slot = made[static_cast<std::size_t>(device.index)];
  if (Backend* const there = slot.load(std::memory_order_acquire)) return *there;
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  if (slot.load() == nullptr) slot.store(new cuda::CudaBackend(device.index));
  return *slot.load();
}

}  // namespace
#endif

Backend& backend(Device device) {
  if (device.kind == DeviceKind::cpu) {
    static cpu::CpuBackend instance;
    return instance;
  }
#ifdef UNDERSTUDY_WITH_CUDA
  return cuda_backend(device);
#else
  throw UsageError(
      fmt::format("device '{}' was asked for, but this program was built without CUDA; use 'cpu'",
                  to_string(device)));
#endif
}

}  // namespace understudy
