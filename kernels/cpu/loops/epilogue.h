// What is done to a convolution's sums before they are stored, as its loops see it.
#pragma once

namespace understudy::cpu {

// y = act(scale ⊙ y + bias + residual): scale and bias one value a channel, residual laid out like
// the result; null for none.
template <class T>
struct SumEpilogue {
  const T* scale = nullptr;
  const T* bias = nullptr;
  const T* residual = nullptr;
  bool relu = false;
};

}  // namespace understudy::cpu
