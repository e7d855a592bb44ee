// Every op of the engine. Shapes are checked here, once, and kernels assume: Error with the op's
// name and what it was given when shapes, element types or devices do not fit. All ops are
// differentiable in their floating inputs unless a line says otherwise. Shapes broadcast as in
// NumPy where two tensors meet pointwise.
#pragma once

#include <span>
#include <vector>

#include "engine/tensor.h"
#include "kernels/conv2d.h"
#include "kernels/pool2d.h"

namespace understudy {

// ---- pointwise (kernels/elementwise.h, in its order) ----
Tensor neg(const Tensor& x);
Tensor scale(const Tensor& x, double factor);
Tensor shift(const Tensor& x, double offset);
Tensor abs(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor clamp_min(const Tensor& x, double low);
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor equal(const Tensor& a, const Tensor& b);    // 0 or 1 in the inputs' dtype; no gradient
Tensor less(const Tensor& a, const Tensor& b);     // likewise
Tensor greater(const Tensor& a, const Tensor& b);  // likewise
// condition != 0 ? a : b, with the dtype of a. No gradient to the condition.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator*(const Tensor& x, double factor) { return scale(x, factor); }
inline Tensor operator*(double factor, const Tensor& x) { return scale(x, factor); }
inline Tensor operator/(const Tensor& x, double divisor) { return scale(x, 1.0 / divisor); }
inline Tensor operator+(const Tensor& x, double offset) { return shift(x, offset); }
inline Tensor operator-(const Tensor& x, double offset) { return shift(x, -offset); }

// ---- shape (views where strides allow; data moves only where a line says "copies") ----
// One size may be -1; copies when x is strided.
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor permute(const Tensor& x, std::span<const int> axes);
Tensor permute(const Tensor& x, std::initializer_list<int> axes);
Tensor transpose(const Tensor& x);  // swaps the last two axes
// x[..., begin:end:step, ...] along `axis`; negative begin or end count from the end, step >= 1.
Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end,
             std::int64_t step = 1);
Tensor select(const Tensor& x, int axis, std::int64_t index);  // drops the axis
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor concat(std::span<const Tensor> parts, int axis);  // copies
Tensor concat(std::initializer_list<Tensor> parts, int axis);
Tensor stack(std::span<const Tensor> parts, int axis);  // copies
Tensor stack(std::initializer_list<Tensor> parts, int axis);
Tensor contiguous(const Tensor& x);  // copies when x is strided
Tensor clone(const Tensor& x);       // copies
Tensor cast(const Tensor& x, DType dtype);
Tensor to(const Tensor& x, Device device);  // the explicit copy between devices
// x[index, ...] along axis 0; index i64 (I), Error when out of range. Copies.
Tensor gather_rows(const Tensor& x, const Tensor& index);

// ---- reductions ----
Tensor sum(const Tensor& x);  // everything, to shape ()
Tensor sum(const Tensor& x, std::span<const int> axes, bool keep = false);
Tensor sum(const Tensor& x, std::initializer_list<int> axes, bool keep = false);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, std::initializer_list<int> axes, bool keep = false);
// Gradient to the maxima, shared by equals.
Tensor max(const Tensor& x, int axis, bool keep = false);
// Over the last axis, i64; the first of equals. No gradient.
Tensor argmax(const Tensor& x);

// ---- products ----
// (..., M, K) x (..., K, N): matrices, or batches of them whose leading axes broadcast.
Tensor matmul(const Tensor& a, const Tensor& b);
enum class Activation { none, relu };
// activation(x · weightᵀ + bias): x (..., in), weight (out, in), bias (out) or
// undefined; one kernel.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              Activation activation = Activation::none);
// X with A · X = B, A (n, n) symmetric positive definite, B (n, m); in double inside. No gradient.
// Error when A is not positive definite.
Tensor solve_spd(const Tensor& a, const Tensor& b);

// ---- convolution: images (N, H, W, C), filters (K, R, S, C) (kernels/conv2d.h) ----
// activation(convolution + bias): (N, P, Q, K); bias (K) or undefined.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2d& conv = {},
              Activation activation = Activation::none);
// activation(scale · convolution + shift + residual): a batch norm in evaluation mode, and what
// comes after it, in the same kernel. scale and shift (K); residual like the result, or undefined.
// No gradient, for inference: Error where one would be recorded.
Tensor conv2d_affine(const Tensor& x, const Tensor& weight, const Tensor& scale,
                     const Tensor& shift, const Tensor& residual, const Conv2d& conv = {},
                     Activation activation = Activation::none);
// For Fisher information: (K, R, S, C) with, for each weight of filters of this window, the sum over
// the samples of x (N, H, W, C) and over all dy (N, P, Q, K) of the square of that one sample's
// gradient. At least one dy. No gradient. Of conv.algorithm there are automatic, implicit and, for
// 3×3 windows with stride 1, winograd.
Tensor conv2d_squared_weight_gradients(std::span<const Tensor> dy, const Tensor& x,
                                       HeightWidth window, const Conv2d& conv = {});

// ---- batch norm (Ioffe and Szegedy 2015): channels are the last axis ----
// Of each channel over all other axes; the variance is biased.
struct ChannelStatistics {
  Tensor mean, variance;  // (C)
  bool of_input = false;  // of the batch that they normalise: gradients flow through them to it
};
// Those of x, marked `of_input`. Error when there are no values.
ChannelStatistics channel_statistics(const Tensor& x);
// activation(weight · (x - mean) / √(variance + eps) + bias + residual): one kernel. weight and
// bias (C); residual like x, or undefined. Training gives channel_statistics(x) for `statistics`,
// evaluation what training has tracked.
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const ChannelStatistics& statistics, double eps, const Tensor& residual = {},
                  Activation activation = Activation::none);

// ---- images (N, H, W, C) (kernels/pool2d.h) ----
// (N, P, Q, C). The gradient goes to a window's first maximum, row by row; NaN counts as largest.
Tensor max_pool2d(const Tensor& x, const Pool2d& pool);
Tensor average_pool2d(const Tensor& x, const Pool2d& pool);  // pixels outside x count as zeros
Tensor global_average_pool(const Tensor& x);                 // (N, C)
Tensor pad2d(const Tensor& x, HeightWidth padding);          // zeros on all four sides; copies
Tensor flip(const Tensor& x, int axis);                      // of any shape; copies

// ---- softmax and losses; C is the last axis ----
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);
enum class Average { none, mean, sum };
// -log softmax(logits)[label]: logits (N, C), label i64 (N) in [0, C).
Tensor cross_entropy(const Tensor& logits, const Tensor& label, Average average = Average::mean);
// (a - b)², averaged over all elements (mean), summed, or as it is.
Tensor mse(const Tensor& a, const Tensor& b, Average average = Average::mean);
// KL(softmax target ‖ softmax logits) per row (N, C) → (N), averaged over rows or summed.
// No gradient to the target.
Tensor kl_divergence(const Tensor& logits, const Tensor& target, Average average = Average::mean);

// ---- data ----
// images u8 (M, H, W, C) → float (I, H, W, C): (images[index] / 255 - mean[c]) / std[c]. No
// gradient. `placement`: undefined, or i32 (I, 3) of (dy, dx, flip) for each image: pixel (y, x) is
// then the source's (y + dy, (flip ? W - 1 - x : x) + dx), black (0 before the mean is subtracted)
// outside it. With dy and dx in [-p, p] that is a crop after padding by p, then a flip.
Tensor gather_images(const Tensor& images, const Tensor& index, std::span<const float> mean,
                     std::span<const float> std, const Tensor& placement = {});

}  // namespace understudy
