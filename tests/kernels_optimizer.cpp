// The fused optimisers against torch.optim's update rules, written out in double one element at a
// time, over several steps and several parameters of awkward sizes.
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

const std::int64_t counts[] = {1, 0, 17, 100, 40000, 3};
constexpr int steps = 4;

template <class T>
std::vector<Array<T>> arrays(std::uint64_t seed, double low, double high) {
  std::vector<Array<T>> made;
  for (const std::int64_t count : counts)
    made.push_back(Array<T>::uniform(Dims{count}, Layout::dense, seed++, low, high));
  return made;
}

// The same numbers in double, all parameters end to end.
template <class T>
std::vector<double> joined(const std::vector<Array<T>>& parts) {
  std::vector<double> all;
  for (const auto& part : parts)
    for (std::int64_t i = 0; i < part.shape()[0]; ++i) all.push_back(part[i]);
  return all;
}

template <class T>
double worst_difference(const std::vector<Array<T>>& got, const std::vector<double>& want) {
  const auto values = joined(got);
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i)
    worst = std::max(worst, mismatch(values[i], want[i]));
  for (const auto& part : got) CHECK(part.guards_intact());
  return worst;
}

template <class T>
void check_sgd(SgdStep step) {
  auto parameter = arrays<T>(50, -1, 1), momentum = arrays<T>(51, NAN, NAN);
  auto p = joined(parameter);
  std::vector<double> buffer(p.size());
  for (int t = 1; t <= steps; ++t) {
    const auto gradient = arrays<T>(60 + static_cast<std::uint64_t>(t), -1, 1);
    const auto g = joined(gradient);
    step.first = t == 1;
    std::vector<SgdSlot> slots;
    for (std::size_t i = 0; i < parameter.size(); ++i)
      slots.push_back({View(parameter[i]).data, ConstView(gradient[i]).data,
                       step.momentum == 0 ? nullptr : View(momentum[i]).data, counts[i]});
    cpu_backend().sgd(dtype_of<T>, slots, &step);
    for (std::size_t i = 0; i < p.size(); ++i) {
      double d = g[i] + step.weight_decay * p[i];
      if (step.momentum != 0) {
        buffer[i] = t == 1 ? d : step.momentum * buffer[i] + (1 - step.dampening) * d;
        d = step.nesterov ? d + step.momentum * buffer[i] : buffer[i];
      }
      p[i] -= step.lr * d;
    }
    CHECK(worst_difference(parameter, p) <= 8 * rounding<T>);
    if (step.momentum != 0) CHECK(worst_difference(momentum, buffer) <= 8 * rounding<T>);
  }
}

template <class T>
void check_adam(AdamStep step) {
  auto parameter = arrays<T>(70, -1, 1), mean = arrays<T>(71, 0, 0), variance = arrays<T>(72, 0, 0);
  auto p = joined(parameter);
  std::vector<double> m(p.size()), v(p.size());
  for (int t = 1; t <= steps; ++t) {
    auto gradient = arrays<T>(80 + static_cast<std::uint64_t>(t), -1, 1);
    gradient[3][5] = 0;  // a weight that never learns: 0 / (0 + eps)
    const auto g = joined(gradient);
    step.correction1 = 1 - std::pow(step.beta1, t);
    step.correction2 = 1 - std::pow(step.beta2, t);
    std::vector<AdamSlot> slots;
    for (std::size_t i = 0; i < parameter.size(); ++i)
      slots.push_back({View(parameter[i]).data, ConstView(gradient[i]).data, View(mean[i]).data,
                       View(variance[i]).data, counts[i]});
    cpu_backend().adam(dtype_of<T>, slots, &step);
    for (std::size_t i = 0; i < p.size(); ++i) {
      double d = g[i];
      if (step.decoupled)
        p[i] *= 1 - step.lr * step.weight_decay;
      else
        d += step.weight_decay * p[i];
      m[i] = step.beta1 * m[i] + (1 - step.beta1) * d;
      v[i] = step.beta2 * v[i] + (1 - step.beta2) * d * d;
      p[i] -= step.lr / step.correction1 * m[i] /
              (std::sqrt(v[i]) / std::sqrt(step.correction2) + step.eps);
    }
    // A quotient m / sqrt(v) of the same gradients keeps few digits where they cancel.
    CHECK(worst_difference(parameter, p) <= 32 * rounding<T>);
    CHECK(worst_difference(mean, m) <= 8 * rounding<T>);
    CHECK(worst_difference(variance, v) <= 8 * rounding<T>);
  }
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("SGD follows torch.optim.SGD", T, float, double) {
    under_all_settings([] {
      for (const double momentum : {0.0, 0.9})
        for (const double weight_decay : {0.0, 0.01})
          for (const double dampening : {0.0, 0.25})
            for (const bool nesterov : {false, true}) {
              if (nesterov && (momentum == 0 || dampening != 0)) continue;
              INFO(fmt::format("momentum {} weight decay {} dampening {} nesterov {}", momentum,
                               weight_decay, dampening, nesterov));
              check_sgd<T>({.lr = 0.1,
                            .momentum = momentum,
                            .dampening = dampening,
                            .weight_decay = weight_decay,
                            .nesterov = nesterov,
                            .first = true});
            }
    });
  }

  TEST_CASE_TEMPLATE("Adam and AdamW follow torch.optim", T, float, double) {
    under_all_settings([] {
      for (const double weight_decay : {0.0, 0.01})
        for (const bool decoupled : {false, true}) {
          INFO(fmt::format("weight decay {} decoupled {}", weight_decay, decoupled));
          check_adam<T>({.lr = 1e-3,
                         .beta1 = 0.9,
                         .beta2 = 0.999,
                         .eps = 1e-8,
                         .weight_decay = weight_decay,
                         .decoupled = decoupled});
        }
    });
  }
}
