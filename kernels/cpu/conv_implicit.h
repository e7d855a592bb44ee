// Convolution of any shape as a product over windows read where they lie (loops/conv_implicit.cpp).
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/conv_shape.h"

namespace understudy::cpu {

template <class T>
void implicit_forward(const ConvShape& s, T* y, const T* x, const T* w,
                      const ConvEpilogue& epilogue);
template <class T>
void implicit_input_gradient(const ConvShape& s, T* dx, const T* dy, const T* w);
template <class T>
void implicit_weight_gradient(const ConvShape& s, T* dw, const T* dy, const T* x);

}  // namespace understudy::cpu
