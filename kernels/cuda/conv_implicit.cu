// Forward pass and gradient of the input. Both are windows that move over dense images (N, H, W,
// depth): those of the input, or the gradient's. Rows of the product are results' pixels, its columns
// their channels, and its sum runs over the parts of the window and the depth.
#include <algorithm>
#include <numeric>
#include <type_traits>

#include "kernels/cuda/conv_implicit.h"
#include "kernels/cuda/conv_tile.h"

namespace understudy::cuda {
namespace {

// Result pixel (n, i, j) sees at part (a, b) of its window the pixel
// (i · step + first + a · part_step) of image n, likewise along the width; zero outside.
struct Axis {
  int size, count, parts, step, first, part_step;
};

template <class T>
struct WindowProduct {
  const T* images;
  Axis h, w;
  int depth;
  std::int64_t pixels;  // N · h.count · w.count, the rows

  // The filter's element for part (a, b), depth d and channel k:
  // a · part_h + b · part_w + d · depth_step + k · channel_step.
  const T* filters;
  int part_h, part_w, depth_step, channel_step;

  // Result (n, i, j, k): n · image + i · row + j · column + k.
  T* results;
  std::int64_t image, row, column;
  int channels;
  Finish<T> finish;
};

// A place in the sum: part (a, b) and depth d.
struct Place {
  int a, b, d;

  template <class T>
  __device__ void advance(const WindowProduct<T>& p, int by) {
    d += by;
    while (d >= p.depth) {
      d -= p.depth;
      if (++b == p.w.parts) b = 0, ++a;
    }
  }
};

// The pixels that a thread loads.
struct Pixel {
  std::int64_t image;  // where the image begins; negative for no pixel
  int h, w;            // of part (0, 0)
};

template <class T>
__device__ Pixel pixel_at(const WindowProduct<T>& p, std::int64_t m) {
  if (m >= p.pixels) return {-1, 0, 0};
  const std::int64_t line = m / p.w.count, n = line / p.h.count;
  return {n * p.h.size * p.w.size * p.depth,
          static_cast<int>(line - n * p.h.count) * p.h.step + p.h.first,
          static_cast<int>(m - line * p.w.count) * p.w.step + p.w.first};
}

template <class T>
__device__ const T* seen(const WindowProduct<T>& p, const Pixel& pixel, const Place& at) {
  const int h = pixel.h + at.a * p.h.part_step, w = pixel.w + at.b * p.w.part_step;
  const bool inside =
      pixel.image >= 0 && at.a < p.h.parts && h >= 0 && h < p.h.size && w >= 0 && w < p.w.size;
  return inside ? p.images + pixel.image + (h * p.w.size + w) * p.depth + at.d : nullptr;
}

template <class T, bool quads>
__device__ Quad<T> load_images(const WindowProduct<T>& p, const Pixel& pixel, Place at) {
  Quad<T> values = {};
  if constexpr (quads) {
    if (const T* from = seen(p, pixel, at)) values = *reinterpret_cast<const Quad<T>*>(from);
  } else {
    for (int i = 0; i < 4; ++i, at.advance(p, 1))
      if (const T* from = seen(p, pixel, at)) values.v[i] = *from;
  }
  return values;
}

// Along the depth for DepthFirst, along the channels for LineFirst.
template <class T, class Order, bool quads>
__device__ Quad<T> load_filters(const WindowProduct<T>& p, int k, Place at) {
  constexpr bool along_depth = std::is_same_v<Order, DepthFirst>;
  Quad<T> values = {};
  for (int i = 0; i < (quads ? 1 : 4); ++i) {
    if (k >= p.channels || at.a >= p.h.parts) break;
    const T* const from =
        p.filters + at.a * p.part_h + at.b * p.part_w + at.d * p.depth_step + k * p.channel_step;
    if constexpr (quads)
      values = *reinterpret_cast<const Quad<T>*>(from);
    else
      values.v[i] = *from;
    if (along_depth)
      at.advance(p, 1);
    else
      ++k;
  }
  return values;
}

template <class T, int Q, class FilterOrder, bool quads>
__global__ void __launch_bounds__(block_threads, Q == 2 ? 2 : 1)
    window_product(WindowProduct<T> p, int columns_of_tiles) {
  __shared__ TilePiece<T, Q> images[2], filters[2];
  const std::int64_t first_row =
      static_cast<std::int64_t>(blockIdx.x / columns_of_tiles) * (Q * tile_unit);
  const int first_column = static_cast<int>(blockIdx.x % columns_of_tiles) * (Q * tile_unit);
  const int ty = static_cast<int>(threadIdx.x) / 16, tx = static_cast<int>(threadIdx.x) % 16;

  Pixel pixel[Q];
#pragma unroll
  for (int q = 0; q < Q; ++q) pixel[q] = pixel_at(p, first_row + DepthFirst::line(q));
  Place image_at = {0, 0, 0}, filter_at = {0, 0, 0};
  const int length = p.h.parts * p.w.parts * p.depth;
  const int steps = (length + tile_depth - 1) / tile_depth;
  TileSums<T, Q> sums;
  sums.clear();
  Quad<T> next_images[Q], next_filters[Q];
  const auto load = [&] {
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      next_images[q] = load_images<T, quads>(p, pixel[q], image_at);
      next_filters[q] =
          load_filters<T, FilterOrder, quads>(p, first_column + FilterOrder::line(q), filter_at);
    }
  };
  if (steps > 0) {
    image_at.advance(p, DepthFirst::along());
    filter_at.advance(p, FilterOrder::along());
    load();
    DepthFirst::store(images[0], next_images);
    FilterOrder::store(filters[0], next_filters);
    __syncthreads();
  }
  for (int step = 0; step < steps; ++step) {
    const int now = step % 2;
    const bool more = step + 1 < steps;
    if (more) {
      image_at.advance(p, tile_depth);
      filter_at.advance(p, tile_depth);
      load();
    }
    sums.add_products(images[now], filters[now], ty, tx);
    if (more) {
      DepthFirst::store(images[1 - now], next_images);
      FilterOrder::store(filters[1 - now], next_filters);
    }
    __syncthreads();
  }

#pragma unroll  // a register has no address
  for (int i = 0; i < 4 * Q; ++i) {
    const std::int64_t m = first_row + sums.row(i, ty);
    if (m >= p.pixels) break;
    const std::int64_t line = m / p.w.count, n = line / p.h.count;
    const std::int64_t at =
        n * p.image + (line - n * p.h.count) * p.row + (m - line * p.w.count) * p.column;
#pragma unroll
    for (int j = 0; j < 4 * Q; ++j) {
      const int k = first_column + sums.row(j, tx);
      if (k < p.channels) p.results[at + k] = p.finish(sums.sum[i][j], k, at + k);
    }
  }
}

template <class FilterOrder, class T, int Q, bool quads>
void launch_tiles(const Stream& stream, const WindowProduct<T>& p) {
  constexpr std::int64_t side = Q * tile_unit;
  const std::int64_t across = divide_up(p.channels, side),
                     blocks = divide_up(p.pixels, side) * across;
  launch(stream, {dim3(static_cast<unsigned>(blocks)), dim3(block_threads)},
         window_product<T, Q, FilterOrder, quads>, p, static_cast<int>(across));
}

// Large tiles where there are enough of them to keep a GPU of some 130 multiprocessors busy.
template <class FilterOrder, class T>
void launch_product(const Stream& stream, const WindowProduct<T>& p) {
  if (p.pixels * p.channels == 0) return;
  constexpr std::int64_t large = 2 * tile_unit, enough = 256;
  const int along = std::is_same_v<FilterOrder, DepthFirst> ? p.depth : p.channels;
  const bool quads = takes_quads(p.images, p.depth) && takes_quads(p.filters, along) &&
                     takes_quads(p.filters, std::gcd(p.part_h, p.part_w));
  if constexpr (std::is_same_v<T, float>) {
    if (quads && p.channels > tile_unit &&
        divide_up(p.pixels, large) * divide_up(p.channels, large) >= enough)
      return launch_tiles<FilterOrder, T, 2, true>(stream, p);
  }
  if (quads)
    launch_tiles<FilterOrder, T, 1, true>(stream, p);
  else
    launch_tiles<FilterOrder, T, 1, false>(stream, p);
}

int narrow(std::int64_t n) { return static_cast<int>(n); }

// Along one axis, the results whose places have remainder `rest` by the stride: their windows have
// the parts whose own remainders fit, which are every part_step-th from the first one on.
struct GradientAxis {
  Axis axis;
  int first_part, part_step;
};
GradientAxis gradient_axis(std::int64_t results, std::int64_t gradients, std::int64_t parts,
                           std::int64_t stride, std::int64_t padding, std::int64_t dilation,
                           std::int64_t rest) {
  const std::int64_t part_step = stride / std::gcd(stride, dilation);
  std::int64_t first = 0;
  while (first < parts && (rest + padding - first * dilation) % stride != 0 && first < part_step)
    ++first;
  const bool any = first < parts && first < part_step;
  return {{.size = narrow(gradients),
           .count = narrow(divide_up(results - rest, stride)),
           .parts = any ? narrow(divide_up(parts - first, part_step)) : 0,
           .step = 1,
           .first = any ? narrow((rest + padding - first * dilation) / stride) : 0,
           .part_step = narrow(-part_step * dilation / stride)},
          narrow(first),
          narrow(part_step)};
}

}  // namespace

template <class T>
void implicit_forward(const Stream& stream, const ConvShape& s, T* y, const T* x, const T* w,
                      const Finish<T>& finish) {
  const Conv2d& conv = s.conv;
  const auto axis = [](std::int64_t size, std::int64_t count, std::int64_t parts,
                       std::int64_t stride, std::int64_t padding, std::int64_t dilation) {
    return Axis{narrow(size),   narrow(count),    narrow(parts),
                narrow(stride), narrow(-padding), narrow(dilation)};
  };
  launch_product<DepthFirst>(
      stream,
      WindowProduct<T>{
          .images = x,
          .h = axis(s.H, s.P, s.R, conv.stride.height, conv.padding.height, conv.dilation.height),
          .w = axis(s.W, s.Q, s.S, conv.stride.width, conv.padding.width, conv.dilation.width),
          .depth = narrow(s.C),
          .pixels = s.N * s.P * s.Q,
          .filters = w,
          .part_h = narrow(s.S * s.C),
          .part_w = narrow(s.C),
          .depth_step = 1,
          .channel_step = narrow(s.R * s.S * s.C),
          .results = y,
          .image = s.P * s.Q * s.K,
          .row = s.Q * s.K,
          .column = s.K,
          .channels = narrow(s.K),
          .finish = finish});
}

// dx[n, h, w, c] = Σ over the r, s, k with h + padding = p · stride + r · dilation of
// w[k, r, s, c] · dy[n, p, q, k]. Pixels with the same remainders by the stride have the same r and
// s: stride.height · stride.width classes, each windows over dy with step 1.
template <class T>
void implicit_input_gradient(const Stream& stream, const ConvShape& s, T* dx, const T* dy,
                             const T* w) {
  const Conv2d& conv = s.conv;
  for (std::int64_t a = 0; a < std::min(conv.stride.height, s.H); ++a)
    for (std::int64_t b = 0; b < std::min(conv.stride.width, s.W); ++b) {
      const GradientAxis h = gradient_axis(s.H, s.P, s.R, conv.stride.height, conv.padding.height,
                                           conv.dilation.height, a);
      const GradientAxis v = gradient_axis(s.W, s.Q, s.S, conv.stride.width, conv.padding.width,
                                           conv.dilation.width, b);
      launch_product<LineFirst>(
          stream, WindowProduct<T>{.images = dy,
                                   .h = h.axis,
                                   .w = v.axis,
                                   .depth = narrow(s.K),
                                   .pixels = s.N * h.axis.count * v.axis.count,
                                   .filters = w + (h.first_part * s.S + v.first_part) * s.C,
                                   .part_h = narrow(h.part_step * s.S * s.C),
                                   .part_w = narrow(v.part_step * s.C),
                                   .depth_step = narrow(s.R * s.S * s.C),
                                   .channel_step = 1,
                                   .results = dx + (a * s.W + b) * s.C,
                                   .image = s.H * s.W * s.C,
                                   .row = conv.stride.height * s.W * s.C,
                                   .column = conv.stride.width * s.C,
                                   .channels = narrow(s.C),
                                   .finish = {}});
    }
}

#define UNDERSTUDY_IMPLICIT(T)                                                            \
  template void implicit_forward(const Stream&, const ConvShape&, T*, const T*, const T*, \
                                 const Finish<T>&);                                       \
  template void implicit_input_gradient(const Stream&, const ConvShape&, T*, const T*, const T*);
UNDERSTUDY_IMPLICIT(float)
UNDERSTUDY_IMPLICIT(double)
#undef UNDERSTUDY_IMPLICIT

}  // namespace understudy::cuda
