// What is done to the sums of a product or of a convolution before they are stored.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/bf16.h"
#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

// A ConvEpilogue as kernels take it: · scale, + bias, + residual, ReLU; null for none. Without scale
// and residual it is a product's.
template <class T>
struct Finish {
  const T* scale = nullptr;
  const T* bias = nullptr;
  const T* residual = nullptr;
  bool relu = false;

  static Finish of(const ConvEpilogue& epilogue) {
    const auto data = [](const ConstView* v) { return v == nullptr ? nullptr : v->as<T>(); };
    return {data(epilogue.scale), data(epilogue.bias), data(epilogue.residual), epilogue.relu};
  }
  bool nothing() const {
    return scale == nullptr && bias == nullptr && residual == nullptr && !relu;
  }

  // For column k of a sum that is stored at `at`.
  UNDERSTUDY_HD T operator()(T sum, std::int64_t k, std::int64_t at) const {
    if (scale != nullptr) sum = sum * scale[k];
    if (bias != nullptr) sum = sum + bias[k];
    if (residual != nullptr) sum = sum + residual[at];
    return relu ? UnaryFormula<Unary::relu>::value(sum, T(0)) : sum;
  }
};

// out[i, k] = finish(sums[i, k]), all dense (rows, K). `sums` may be `out`; where it is null, the
// sums are zeros.
template <class T, class From>
void finish_rows(const Stream& stream, T* out, const From* sums, std::int64_t rows, std::int64_t K,
                 const Finish<T>& finish);

}  // namespace understudy::cuda
