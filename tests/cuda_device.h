// The GPU that the tests of the CUDA backend run on: a real one, or the emulated one.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy::testing {

inline constexpr Device gpu{DeviceKind::cuda, 0};

// True, having said why, where there is none.
inline bool skipped() {
  try {
    backend(gpu);
    return false;
  } catch (const Error& error) {
    MESSAGE("[skipped] ", std::string(error.what()));
    return true;
  }
}

}  // namespace understudy::testing
