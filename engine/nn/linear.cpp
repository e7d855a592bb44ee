#include "engine/nn/linear.h"

#include "engine/nn/init.h"
#include "kernels/check.h"

namespace understudy {

Linear::Linear(std::int64_t in, std::int64_t out, Generator& generator, const Options& options)
    : activation(options.activation) {
  check(in >= 1 && out >= 1, "[Linear] {} inputs and {} outputs: both must be at least 1", in, out);
  weight = Tensor::empty({out, in});
  if (options.bias) bias = Tensor::empty({out});
  init_pytorch_default(weight, bias, generator);
  weight.set_requires_grad(true);
  if (bias.defined()) bias.set_requires_grad(true);
}

void Linear::members(Members& m) {
  m.parameter("weight", weight);
  m.parameter("bias", bias);
}

}  // namespace understudy
