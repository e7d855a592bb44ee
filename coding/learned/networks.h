// The two halves of a learned code, as the code sees them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/nn/module.h"

namespace understudy {

// The parameters that a network of given sizes would have, by name: so that a file is looked at
// before anything as large as it claims is made.
using ParameterShapes = std::vector<std::pair<std::string, Shape>>;

// planes (M, k, H, W), one colour channel each → parity planes (M, r, H, W).
struct PlaneEncoder : Module {
  virtual std::int64_t multiply_adds(std::int64_t height, std::int64_t width) const = 0;  // M = 1
};

// outputs (G, k+r, classes) with zeros where an answer is missing → data outputs (G, k, classes).
struct OutputDecoder : Module {
  virtual std::int64_t multiply_adds() const = 0;  // G = 1
};

}  // namespace understudy
