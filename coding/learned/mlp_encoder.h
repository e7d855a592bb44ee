// MLPEncoder of "Learning a Code" (arXiv 1806.01259).
#pragma once

#include "coding/erasures.h"
#include "coding/learned/networks.h"
#include "engine/nn/linear.h"
#include "engine/random.h"

namespace understudy {

// d = H·W: flatten (M, k·d) → fc1 (k·d, k·d) → ReLU → fc2 (k·d, r·d). It takes images of one size.
struct MlpEncoder : PlaneEncoder {
  // Weights N(0, 0.01²), biases 0.
  MlpEncoder(const CodeShape& shape, std::int64_t height, std::int64_t width, Generator& generator);
  static ParameterShapes parameter_shapes(const CodeShape& shape, std::int64_t height,
                                          std::int64_t width);
  Tensor forward(const Tensor& planes) override;
  void members(Members& m) override;
  std::int64_t multiply_adds(std::int64_t height, std::int64_t width) const override;

  CodeShape shape;
  std::int64_t height, width;
  Linear fc1, fc2;
};

}  // namespace understudy
