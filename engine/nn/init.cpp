#include "engine/nn/init.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "kernels/check.h"

namespace understudy {

Fan fan_of(const Shape& weight) {
  const int rank = weight.rank();
  check(rank >= 2, "[init] a weight has the axes (out, ..., in), {} has {}", to_string(weight),
        rank);
  std::int64_t window = 1;
  for (int axis = 1; axis + 1 < rank; ++axis) window *= weight[axis];
  return {weight.back() * window, weight[0] * window};
}

void init_constant(Tensor& x, double value) {
  NoGradGuard no_grad;  // a parameter that is trained may still start anew
  x.fill_(value);
}

void init_normal(Tensor& x, Generator& generator, double std) { fill_normal(x, generator, 0, std); }

void init_xavier_uniform(Tensor& weight, Generator& generator, double gain) {
  const Fan fan = fan_of(weight.shape());
  // A weight without elements has no fans to divide by.
  const double a =
      gain * std::sqrt(6.0 / static_cast<double>(std::max<std::int64_t>(fan.in + fan.out, 1)));
  fill_uniform(weight, generator, -a, a);
}

void init_kaiming_uniform(Tensor& weight, Generator& generator, double gain) {
  const Fan fan = fan_of(weight.shape());
  const double a = gain * std::sqrt(3.0 / static_cast<double>(std::max<std::int64_t>(fan.in, 1)));
  fill_uniform(weight, generator, -a, a);
}

void init_kaiming_normal(Tensor& weight, Generator& generator, double gain) {
  const Fan fan = fan_of(weight.shape());
  const double fan_out = static_cast<double>(std::max<std::int64_t>(fan.out, 1));
  fill_normal(weight, generator, 0, gain / std::sqrt(fan_out));
}

void init_pytorch_default(Tensor& weight, Tensor& bias, Generator& generator) {
  const Fan fan = fan_of(weight.shape());
  const double a = 1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(fan.in, 1)));
  fill_uniform(weight, generator, -a, a);
  if (bias.defined()) fill_uniform(bias, generator, -a, a);
}

}  // namespace understudy
