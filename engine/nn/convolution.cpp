#include "engine/nn/convolution.h"

#include "engine/nn/init.h"
#include "kernels/check.h"

namespace understudy {

Convolution::Convolution(std::int64_t in, std::int64_t out, HeightWidth kernel,
                         Generator& generator, const Options& options)
    : conv(options.conv), activation(options.activation) {
  check(in >= 1 && out >= 1 && kernel.height >= 1 && kernel.width >= 1,
        "[Convolution] {} channels to {}, windows of {}x{}: all must be at least 1", in, out,
        kernel.height, kernel.width);
  weight = Tensor::empty({out, kernel.height, kernel.width, in});
  if (options.bias) bias = Tensor::empty({out});
  init_pytorch_default(weight, bias, generator);
  weight.set_requires_grad(true);
  if (bias.defined()) bias.set_requires_grad(true);
}

void Convolution::members(Members& m) {
  m.parameter("weight", weight, WeightLayout::convolution);
  m.parameter("bias", bias);
}

}  // namespace understudy
