#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/check.h"

namespace understudy {

Tensor clip_gradient_norm(const std::vector<NamedTensor>& parameters, double limit) {
  check(limit >= 0, "[clip_gradient_norm] limit {}: must be at least 0", limit);
  NoGradGuard no_grad;
  const Device device = parameters.empty() ? Device{} : parameters.front().tensor.device();
  Tensor squares = Tensor::zeros({}, DType::f64, device);
  for (const auto& [name, parameter] : parameters)
    if (parameter.grad().defined())
      squares = squares + cast(sum(square(parameter.grad())), DType::f64);
  const Tensor norm = sqrt(squares);
  const Tensor one = Tensor::ones({}, DType::f64, device);
  const Tensor ratio = minimum(Tensor::full({}, limit, DType::f64, device) / (norm + 1e-6), one);
  // A new tensor each: two parameters may share one gradient, which must not be scaled twice.
  for (const NamedTensor& named : parameters) {
    Tensor parameter = named.tensor;
    const Tensor gradient = parameter.grad();
    if (gradient.defined()) parameter.set_grad(gradient * cast(ratio, gradient.dtype()));
  }
  return norm;
}

}  // namespace understudy
