// MLPDecoder of "Learning a Code" (arXiv 1806.01259).
#pragma once

#include "coding/erasures.h"
#include "coding/learned/networks.h"
#include "engine/nn/linear.h"
#include "engine/random.h"

namespace understudy {

// n = k + r, C classes: the logits F(x_1)..F(x_k), F(p_1)..F(p_r) side by side →
// fc1 (nC, nC) → ReLU → fc2 (nC, kC) → ReLU → fc3 (kC, kC).
struct MlpDecoder : OutputDecoder {
  // Weights N(0, 0.01²), biases 0.
  MlpDecoder(const CodeShape& shape, std::int64_t classes, Generator& generator);
  static ParameterShapes parameter_shapes(const CodeShape& shape, std::int64_t classes);
  Tensor forward(const Tensor& outputs) override;
  void members(Members& m) override;
  std::int64_t multiply_adds() const override;

  CodeShape shape;
  std::int64_t classes;
  Linear fc1, fc2, fc3;
};

}  // namespace understudy
