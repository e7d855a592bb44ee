#include "coding/merging/ties.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// τ of one tensor, in double.
std::vector<double> change(const NamedTensor& now, const NamedTensor& before) {
  return (cast(now.tensor.detach(), DType::f64) - cast(before.tensor.detach(), DType::f64))
      .to_vector<double>();
}

// Keeps the largest of a model's changes. They are given tensor by tensor and in order, twice: to
// find the smallest size that is kept, and to keep.
class Trim {
 public:
  Trim(const std::vector<NamedTensor>& now, const std::vector<NamedTensor>& before, double density,
       std::size_t model) {
    std::vector<double> sizes;
    for (std::size_t t = 0; t < now.size(); ++t)
      for (const double tau : change(now[t], before[t])) {
        check(std::isfinite(tau), "[ties] \"{}\" of model {} or of the start is not finite",
              now[t].name, model + 1);
        sizes.push_back(std::abs(tau));
      }
    if (sizes.empty()) return;
    const double wanted = std::round(density * static_cast<double>(sizes.size()));
    const auto kept = std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(wanted));
    const auto last = sizes.begin() + kept - 1;
    std::nth_element(sizes.begin(), last, sizes.end(), std::greater<>());
    smallest_ = *last;
    equals_ = std::count(sizes.begin(), last + 1, smallest_);
  }
  // The change, or 0 for one that is trimmed.
  double operator()(double tau) {
    const double size = std::abs(tau);
    if (size > smallest_) return tau;
    return size == smallest_ && equals_-- > 0 ? tau : 0;
  }

 private:
  double smallest_ = 0;        // size that is kept
  std::ptrdiff_t equals_ = 0;  // of that size that may still be kept
};

// A sum and the weights in it, of the changes of one sign.
struct Side {
  double total = 0, weight = 0;
  void add(double tau, double beta) {
    total += beta * tau;
    weight += beta;
  }
  double mean() const { return total / weight; }
};

double elected(const Side& up, const Side& down) {
  const double sign = up.total + down.total;
  return sign > 0 ? up.mean() : sign < 0 ? down.mean() : 0;
}

void average_buffers(const std::vector<Module*>& models, const std::vector<double>& weights,
                     Module& merged) {
  std::vector<std::vector<NamedTensor>> buffers;
  for (Module* model : models) buffers.push_back(model->named_buffers());
  std::vector<NamedTensor> target = merged.named_buffers();
  for (std::size_t t = 0; t < target.size(); ++t) {
    Tensor total = buffers[0][t].tensor;
    if (is_floating(total.dtype())) {  // else a count, such as batches seen
      total = scale(cast(total, DType::f64), weights[0]);
      for (std::size_t i = 1; i < models.size(); ++i)
        total = total + scale(cast(buffers[i][t].tensor, DType::f64), weights[i]);
    }
    target[t].tensor.copy_(total);
  }
}

}  // namespace

void ties_merge(const std::vector<Module*>& models, const std::vector<double>& weights,
                Module& start, double density, double scale, Module& merged) {
  if (!(density > 0 && density <= 1))
    throw UsageError(fmt::format(
        "TIES keeps a share of the changes above 0 and at most 1; got a density of {}", density));
  if (!std::isfinite(scale))
    throw UsageError(fmt::format("TIES scales the changes by a finite number; got {}", scale));
  check(!models.empty() && weights.size() == models.size(), "[ties] {} weights for {} models",
        weights.size(), models.size());
  std::vector<Module*> all = {&merged, &start};
  std::vector<std::string> names = {"the merged network", "the start"};
  for (std::size_t i = 0; i < models.size(); ++i) {
    check(weights[i] >= 0, "[ties] the weight of model {} is {}; expected a number from 0 on",
          i + 1, weights[i]);
    all.push_back(models[i]);
    names.push_back(fmt::format("model {}", i + 1));
  }
  check_same_architecture(all, names);

  const NoGradGuard no_grad;
  const std::vector<NamedTensor> before = start.named_parameters();
  std::vector<std::vector<NamedTensor>> parameters;
  std::vector<Trim> trims;
  for (std::size_t i = 0; i < models.size(); ++i) {
    parameters.push_back(models[i]->named_parameters());
    trims.emplace_back(parameters[i], before, density, i);
  }
  std::vector<NamedTensor> target = merged.named_parameters();
  for (std::size_t t = 0; t < target.size(); ++t) {
    const Shape shape = target[t].tensor.shape();
    std::vector<Side> up(static_cast<std::size_t>(shape.count())), down(up.size());
    for (std::size_t i = 0; i < models.size(); ++i) {
      const std::vector<double> taus = change(parameters[i][t], before[t]);
      for (std::size_t j = 0; j < taus.size(); ++j) {
        const double tau = trims[i](taus[j]);
        if (tau != 0) (tau > 0 ? up : down)[j].add(tau, weights[i]);
      }
    }
    std::vector<double> theta = cast(before[t].tensor.detach(), DType::f64).to_vector<double>();
    for (std::size_t j = 0; j < theta.size(); ++j) theta[j] += scale * elected(up[j], down[j]);
    target[t].tensor.detach().copy_(Tensor::from(theta, shape));
  }
  average_buffers(models, weights, merged);
}

}  // namespace understudy
