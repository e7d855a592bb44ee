// How parameters start. Each function overwrites a tensor in place; the random ones draw from
// `generator` and move it on, so the same seed and the same order of calls give the same network.
#pragma once

#include <cstdint>

#include "engine/random.h"
#include "engine/tensor.h"

namespace understudy {

// Values that feed one output, and outputs that one value feeds. A weight is (out, in) or, for a
// convolution, (out, height, width, in). Error for fewer than two axes.
struct Fan {
  std::int64_t in, out;
};
Fan fan_of(const Shape& weight);

void init_constant(Tensor& x, double value);
void init_normal(Tensor& x, Generator& generator, double std);  // N(0, std²)
// U(-a, a), a = gain · √(6 / (fan in + fan out)) (Glorot and Bengio 2010); √2 is the gain of ReLU.
void init_xavier_uniform(Tensor& weight, Generator& generator, double gain = 1);
// U(-a, a), a = gain · √(3 / fan in) (He et al. 2015); √2 is the gain of ReLU.
void init_kaiming_uniform(Tensor& weight, Generator& generator, double gain);
// N(0, std²), std = gain / √(fan out) (He et al. 2015), the fan that keeps the size of gradients.
// With √2, the gain of ReLU, it is what ResNets start from.
void init_kaiming_normal(Tensor& weight, Generator& generator, double gain);
// PyTorch's default for Linear and for convolutions: weight and bias U(-a, a), a = 1 / √(fan in).
// `bias` may be undefined.
void init_pytorch_default(Tensor& weight, Tensor& bias, Generator& generator);

}  // namespace understudy
