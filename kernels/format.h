// How shapes, element types and devices read in messages. With these an op passes them to check()
// as they are, and their text is made only when the message is.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "kernels/device.h"
#include "kernels/view.h"

#define UNDERSTUDY_FORMATTER(Type)                                               \
  template <>                                                                    \
  struct fmt::formatter<understudy::Type> : fmt::formatter<std::string_view> {   \
    auto format(const understudy::Type& value, fmt::format_context& out) const { \
      return fmt::formatter<std::string_view>::format(to_string(value), out);    \
    }                                                                            \
  };
UNDERSTUDY_FORMATTER(Dims)
UNDERSTUDY_FORMATTER(DType)
UNDERSTUDY_FORMATTER(Device)
#undef UNDERSTUDY_FORMATTER
