// The update rules of SgdStep and AdamStep (kernels/backend.h), one pass over a parameter.
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

template <class T>
void sgd(Index n, T* parameter, const T* gradient, T* momentum, const SgdConstants<T>& constants) {
  const SgdConstants<T> k = constants;
  if (momentum == nullptr) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) {
      const T g = gradient[i] + k.weight_decay * parameter[i];
      parameter[i] = parameter[i] - k.lr * g;
    }
    return;
  }
  // The first buffer is the gradient itself, whatever the dampening.
  const T keep = k.first ? T(0) : k.momentum, fresh = k.first ? T(1) : k.fresh;
  const T direct = k.nesterov ? T(1) : T(0), through = k.nesterov ? k.momentum : T(1);
#pragma omp simd
  for (Index i = 0; i < n; ++i) {
    const T g = gradient[i] + k.weight_decay * parameter[i];
    const T before = k.first ? T(0) : momentum[i];
    const T m = keep * before + fresh * g;
    momentum[i] = m;
    parameter[i] = parameter[i] - k.lr * (direct * g + through * m);
  }
}

template <class T>
void adam(Index n, T* parameter, const T* gradient, T* mean, T* variance,
          const AdamConstants<T>& constants) {
  const AdamConstants<T> k = constants;
#pragma omp simd
  for (Index i = 0; i < n; ++i) {
    const T kept = parameter[i] * k.keep;
    const T g = gradient[i] + k.weight_decay * parameter[i];
    const T m = k.beta1 * mean[i] + k.fresh1 * g;
    const T v = k.beta2 * variance[i] + k.fresh2 * g * g;
    mean[i] = m;
    variance[i] = v;
    parameter[i] = kept - k.step_size * m / (math::sqrt(v) * k.root_scale + k.eps);
  }
}

template <class T>
inline constexpr OptimizerLoops<T> table = {sgd<T>, adam<T>};

}  // namespace

const OptimizerLoops<float> optimizer_f32 = table<float>;
const OptimizerLoops<double> optimizer_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
