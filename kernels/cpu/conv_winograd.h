// Convolution with 3×3 filters and stride 1, by Winograd's F(4×4, 3×3): a quarter of the
// multiplications. loops/winograd_transforms.h has the mathematics.
//
// 1. Tiles of 6 × 6 pixels, overlapping by 2, become values at 36 points, each a matrix
//    V (tiles, channels); filters become 36 matrices U.
// 2. At each point M = V · U, an ordinary product.
// 3. M becomes tiles of 4 × 4 results.
// What decides the speed is that V and M, 2.25 times the size of the images each, never travel
// further than the cache: all steps are done for some tiles at a time (conv_winograd.cpp says how).
// The input's gradient is the same with the filters turned and transposed; the weight's gradient
// is Uᵍ = Zᵀ · V with Z the transformed output gradient, summed over all tiles before it becomes
// filters (conv_winograd_gradient.cpp); or of one image, to be squared (conv_winograd_squares.cpp).
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cpu/conv_shape.h"

namespace understudy::cpu {

// 3×3 filters with stride 1; any padding, any dilation.
bool winograd_applies(const ConvShape& s);
// 4×4 tiles of the result.
std::int64_t winograd_tiles(const ConvShape& s);

template <class T>
void winograd_forward(const ConvShape& s, T* y, const T* x, const T* w,
                      const ConvEpilogue& epilogue);
template <class T>
void winograd_input_gradient(const ConvShape& s, T* dx, const T* dy, const T* w);
template <class T>
void winograd_weight_gradient(const ConvShape& s, T* dw, const T* dy, const T* x);
// Backend::conv2d_squared_weight_gradients.
template <class T>
void winograd_squared_gradients(const ConvShape& s, T* sums, std::span<const ConstView> dy,
                                const T* x);

}  // namespace understudy::cpu
