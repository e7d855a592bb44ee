// Convolution: which algorithm for which shape.
#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/conv_few_pixels.h"
#include "kernels/cpu/conv_implicit.h"
#include "kernels/cpu/conv_shape.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/dispatch.h"

namespace understudy::cpu {
namespace {

enum class Pass { forward, input_gradient, weight_gradient };

const char* to_string(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return "forward pass";
    case Pass::input_gradient:
      return "input's gradient";
    case Pass::weight_gradient:
      return "weight's gradient";
  }
  return "unknown pass";
}

bool applies(ConvAlgorithm algorithm, const ConvShape& s, Pass pass) {
  switch (algorithm) {
    case ConvAlgorithm::winograd:
      return winograd_applies(s);
    case ConvAlgorithm::product:
      return s.is_product();
    case ConvAlgorithm::few_pixels:
      return pass == Pass::forward;
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::implicit:
      break;
  }
  return true;
}

// Measured on AVX2 and AVX-512. Winograd's transforms cost as much as they save where most of a
// tile is outside the image; for few tiles the transformed filters are more to read than the
// filters. Below 16 channels it would still be faster, but its rounding is more than three times
// that of the sum itself.
bool winograd_pays(const ConvShape& s) {
  constexpr std::int64_t fewest_channels = 16, fewest_tiles = 8, tile_pixels = 16;
  if (!winograd_applies(s) || std::min(s.C, s.K) < fewest_channels) return false;
  const std::int64_t tiles = winograd_tiles(s), pixels = s.N * s.P * s.Q;
  return tiles >= fewest_tiles && 2 * pixels >= tiles * tile_pixels;
}

ConvAlgorithm choose(const ConvShape& s, Pass pass) {
  const ConvAlgorithm wanted = s.conv.algorithm;
  check(applies(wanted, s, pass),
        "[conv2d] the algorithm '{}' does not apply to the {} of windows of {}x{} with stride "
        "{}x{}, padding {}x{} and dilation {}x{}; 'automatic' and 'implicit' always do",
        understudy::to_string(wanted), to_string(pass), s.R, s.S, s.conv.stride.height,
        s.conv.stride.width, s.conv.padding.height, s.conv.padding.width, s.conv.dilation.height,
        s.conv.dilation.width);
  if (wanted != ConvAlgorithm::automatic) return wanted;
  if (s.is_product()) return ConvAlgorithm::product;
  if (winograd_pays(s)) return ConvAlgorithm::winograd;
  return pass == Pass::forward && has_few_pixels(s) ? ConvAlgorithm::few_pixels
                                                    : ConvAlgorithm::implicit;
}

// Images and filters as matrices: (pixels, channels) and (filters, channels).
ConstView matrix(const void* data, DType dtype, std::int64_t rows, std::int64_t columns) {
  return {data, dtype, {rows, columns}, {columns, 1}};
}
ConstView transposed(const ConstView& m) {
  return {m.data, m.dtype, {m.shape[1], m.shape[0]}, {m.strides[1], m.strides[0]}};
}
View matrix(void* data, DType dtype, std::int64_t rows, std::int64_t columns) {
  return {data, dtype, {rows, columns}, {columns, 1}};
}

}  // namespace

void CpuBackend::conv2d(const View& y, const ConstView& x, const ConstView& w, const Conv2d& conv,
                        const ConvEpilogue& epilogue) {
  const ConvShape s = conv_shape(x.shape, w.shape, y.shape, conv);
  // The product of matrices has no scale and no residual.
  const bool plain = epilogue.scale == nullptr && epilogue.residual == nullptr;
  const ConvAlgorithm algorithm = choose(s, Pass::forward);
  if (algorithm == ConvAlgorithm::product && plain)
    return matmul(matrix(y.data, y.dtype, s.N * s.P * s.Q, s.K),
                  matrix(x.data, x.dtype, s.N * s.P * s.Q, s.C),
                  transposed(matrix(w.data, w.dtype, s.K, s.C)),
                  {.bias = epilogue.bias, .relu = epilogue.relu});
  with_float(y.dtype, [&]<class T>(Type<T>) {
    if (algorithm == ConvAlgorithm::winograd)
      return winograd_forward(s, y.as<T>(), x.as<T>(), w.as<T>(), epilogue);
    if (algorithm == ConvAlgorithm::few_pixels)
      return few_pixels_forward(s, y.as<T>(), x.as<T>(), w.as<T>(), epilogue);
    implicit_forward(s, y.as<T>(), x.as<T>(), w.as<T>(), epilogue);
  });
}

void CpuBackend::conv2d_input_gradient(const View& dx, const ConstView& dy, const ConstView& w,
                                       const Conv2d& conv) {
  const ConvShape s = conv_shape(dx.shape, w.shape, dy.shape, conv);
  const ConvAlgorithm algorithm = choose(s, Pass::input_gradient);
  if (algorithm == ConvAlgorithm::product)
    return matmul(matrix(dx.data, dx.dtype, s.N * s.P * s.Q, s.C),
                  matrix(dy.data, dy.dtype, s.N * s.P * s.Q, s.K),
                  matrix(w.data, w.dtype, s.K, s.C), {});
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    if (algorithm == ConvAlgorithm::winograd)
      return winograd_input_gradient(s, dx.as<T>(), dy.as<T>(), w.as<T>());
    implicit_input_gradient(s, dx.as<T>(), dy.as<T>(), w.as<T>());
  });
}

void CpuBackend::conv2d_weight_gradient(const View& dw, const ConstView& dy, const ConstView& x,
                                        const Conv2d& conv) {
  const ConvShape s = conv_shape(x.shape, dw.shape, dy.shape, conv);
  const ConvAlgorithm algorithm = choose(s, Pass::weight_gradient);
  if (algorithm == ConvAlgorithm::product)
    return matmul(matrix(dw.data, dw.dtype, s.K, s.C),
                  transposed(matrix(dy.data, dy.dtype, s.N * s.P * s.Q, s.K)),
                  matrix(x.data, x.dtype, s.N * s.P * s.Q, s.C), {});
  with_float(dw.dtype, [&]<class T>(Type<T>) {
    if (algorithm == ConvAlgorithm::winograd)
      return winograd_weight_gradient(s, dw.as<T>(), dy.as<T>(), x.as<T>());
    implicit_weight_gradient(s, dw.as<T>(), dy.as<T>(), x.as<T>());
  });
}

}  // namespace understudy::cpu
