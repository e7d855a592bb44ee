// Convolution as a product over windows that are read where they lie: our own kernels, for every
// shape. They are float32 or float64 throughout, whatever the precision that was asked for.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/conv_shape.h"
#include "kernels/cuda/epilogue.h"

namespace understudy::cuda {

// Error where one image, or the filters, have more than 2^31 - 1 elements, which nothing below takes
// (convolution.cpp; messages are not nvcc's thing).
void check_implicit(const ConvShape& s);

template <class T>
void implicit_forward(const Stream& stream, const ConvShape& s, T* y, const T* x, const T* w,
                      const Finish<T>& finish);
template <class T>
void implicit_input_gradient(const Stream& stream, const ConvShape& s, T* dx, const T* dy,
                             const T* w);

// Working memory of the next two; the number of their partial sums depends on shape and type alone.
std::size_t weight_gradient_bytes(const ConvShape& s, DType dtype);
std::size_t squared_gradients_bytes(const ConvShape& s, DType dtype);

template <class T>
void implicit_weight_gradient(const Stream& stream, const ConvShape& s, T* dw, const T* dy,
                              const T* x, void* working);
// Backend::conv2d_squared_weight_gradients.
template <class T>
void implicit_squared_gradients(const Stream& stream, const ConvShape& s, T* sums,
                                std::span<const ConstView> dy, const T* x, void* working);

}  // namespace understudy::cuda
