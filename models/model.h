// A classifier that knows its own architecture as text.
#pragma once

#include <cstdint>
#include <string>

#include "engine/nn/module.h"

namespace understudy {

// forward: a batch of inputs (N, ...) to logits (N, classes).
class Model : public Module {
 public:
  // The whole architecture in one line, such as "mlp 784-200-100-10". make_model
  // (models/registry.h) builds the same network from it; model files carry it, and equal texts mean
  // that the state dicts fit each other.
  virtual std::string describe() const = 0;
  virtual std::int64_t classes() const = 0;
};

}  // namespace understudy
