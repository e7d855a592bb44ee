// Multinomial logistic regression: one affine map to the logits.
#pragma once

#include "engine/nn/linear.h"
#include "models/model.h"

namespace understudy {

// Inputs of more than two axes are flattened. Parameters are named as in PyTorch's nn.Linear:
// "weight" (classes, inputs) and "bias".
struct Logistic : Model {
  // PyTorch's default initialisation. UsageError for a size below 1.
  Logistic(std::int64_t inputs, std::int64_t classes, Generator& generator);

  Tensor forward(const Tensor& x) override;
  void members(Members& m) override { m.child("", layer); }
  std::string describe() const override;
  std::int64_t classes() const override { return layer.out(); }

  Linear layer;
};

}  // namespace understudy
