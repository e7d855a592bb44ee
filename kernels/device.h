// Where a tensor lives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace understudy {

enum class DeviceKind : std::uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

// "cpu", "cuda" or "cuda:1". Anything else throws UsageError.
Device parse_device(std::string_view text);
std::string to_string(Device device);

}  // namespace understudy
