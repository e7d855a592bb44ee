// ConvEncoder of "Learning a Code" (arXiv 1806.01259).
#pragma once

#include <vector>

#include "coding/erasures.h"
#include "coding/learned/networks.h"
#include "engine/nn/convolution.h"
#include "engine/random.h"

namespace understudy {

// The k planes of a group are the channels of one image. c = 20k: six 3×3 convolutions k → c, c → c
// ... with dilations 1, 1, 2, 4, 8, 1, padding = dilation and ReLU, which see 35×35 pixels of every
// plane; then 1×1, c → r. It takes images of any size, and grows with their pixels where MlpEncoder
// grows with their square.
struct ConvEncoder : PlaneEncoder {
  // Weights Xavier-uniform with gain √2, biases 0.
  ConvEncoder(const CodeShape& shape, Generator& generator);
  // In the order of axes of files: (out, in, height, width).
  static ParameterShapes parameter_shapes(const CodeShape& shape);
  Tensor forward(const Tensor& planes) override;
  void members(Members& m) override;
  std::int64_t multiply_adds(std::int64_t height, std::int64_t width) const override;

  CodeShape shape;
  std::vector<Convolution> layers;  // "conv1" … "conv7"
};

}  // namespace understudy
