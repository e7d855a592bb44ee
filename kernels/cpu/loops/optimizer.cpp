// The update rules (kernels/update_rules.h), one pass over a parameter.
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

template <class T>
void sgd(Index n, T* parameter, const T* gradient, T* momentum, const SgdConstants<T>& constants) {
  const SgdConstants<T> k = constants;
  if (momentum == nullptr) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) sgd_update(parameter[i], gradient[i], k);
  } else {
#pragma omp simd
    for (Index i = 0; i < n; ++i) sgd_update(parameter[i], gradient[i], momentum[i], k);
  }
}

template <class T>
void adam(Index n, T* parameter, const T* gradient, T* mean, T* variance,
          const AdamConstants<T>& constants) {
  const AdamConstants<T> k = constants;
#pragma omp simd
  for (Index i = 0; i < n; ++i) adam_update(parameter[i], gradient[i], mean[i], variance[i], k);
}

template <class T>
inline constexpr OptimizerLoops<T> table = {sgd<T>, adam<T>};

}  // namespace

const OptimizerLoops<float> optimizer_f32 = table<float>;
const OptimizerLoops<double> optimizer_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
