#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/check.h"

namespace understudy {

double clip_gradient_norm(const std::vector<NamedTensor>& parameters, double limit) {
  check(limit >= 0, "[clip_gradient_norm] limit {}: must be at least 0", limit);
  NoGradGuard no_grad;
  double squares = 0;
  for (const auto& [name, parameter] : parameters)
    if (parameter.grad().defined()) squares += sum(square(parameter.grad())).item();
  const double norm = std::sqrt(squares);
  const double ratio = limit / (norm + 1e-6);
  if (ratio >= 1) return norm;
  // A new tensor each: two parameters may share one gradient, which must not be scaled twice.
  for (const NamedTensor& named : parameters) {
    Tensor parameter = named.tensor;
    if (parameter.grad().defined()) parameter.set_grad(scale(parameter.grad(), ratio));
  }
  return norm;
}

}  // namespace understudy
