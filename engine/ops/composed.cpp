// Ops that are compositions of others: one function each, without kernel or backward of their own.
#include "engine/ops.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

Tensor averaged(const Tensor& x, Average average) {
  return average == Average::none ? x : average == Average::mean ? mean(x) : sum(x);
}

}  // namespace

// The mean of nothing is NaN, as in NumPy.
Tensor mean(const Tensor& x) { return scale(sum(x), 1.0 / static_cast<double>(x.count())); }

Tensor mean(const Tensor& x, std::initializer_list<int> axes, bool keep) {
  std::int64_t count = 1;
  for (int axis : axes) count *= x.shape()[normalize_axis("mean", axis, x.rank())];
  return scale(sum(x, axes, keep), 1.0 / static_cast<double>(count));
}

Tensor global_average_pool(const Tensor& x) {
  check(x.rank() == 4, "[global_average_pool] needs images (N,H,W,C), found {}", x.shape());
  return mean(x, {1, 2});
}

Tensor mse(const Tensor& a, const Tensor& b, Average average) {
  check(a.shape() == b.shape(), "[mse] {} and {}: the shapes differ", a.shape(), b.shape());
  return averaged(square(a - b), average);
}

Tensor kl_divergence(const Tensor& logits, const Tensor& target, Average average) {
  check(logits.rank() == 2 && logits.shape() == target.shape(),
        "[kl_divergence] logits {} and target {}: both must be (N, C)", logits.shape(),
        target.shape());
  const Tensor log_p = log_softmax(target.detach());
  const Tensor divergence = sum(exp(log_p) * (log_p - log_softmax(logits)), {1});
  return averaged(divergence, average);
}

}  // namespace understudy
