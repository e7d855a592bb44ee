// Convolution of so few pixels that packing the filters would take longer than the product: the
// last stages of a network that answers one image.
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/conv_shape.h"

namespace understudy::cpu {

// Up to 64 result pixels.
bool has_few_pixels(const ConvShape& s);

// Filters are read where they lie and each once, as rows of the product; the pixels' windows are
// packed as its columns.
template <class T>
void few_pixels_forward(const ConvShape& s, T* y, const T* x, const T* w,
                        const ConvEpilogue& epilogue);

}  // namespace understudy::cpu
