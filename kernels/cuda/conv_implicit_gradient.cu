// The gradient of the filters, and sums of squares of it. Rows of the product are filters, its columns
// the places (r, s, c) of a filter, and its sum runs over pixels of the result.
//
// The result is small and the sum long, so blocks share the sum, too: each of `splits` parts makes
// sums of its own in working memory, and they are added up in their order. How many depends on the
// shape alone.
#include <algorithm>

#include "kernels/cuda/conv_implicit.h"
#include "kernels/cuda/conv_tile.h"

namespace understudy::cuda {
namespace {

// Gradients of the result for the same images; as many as a kernel takes.
constexpr int most_gradients = 32;

template <class T>
struct GradientProduct {
  const T* dy[most_gradients];
  int gradients;
  const T* x;
  int H, W, C, K, S, P, Q;
  int stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
  int places;                // R · S · C, the columns
  std::int64_t pixels;       // N · P · Q
  std::int64_t part_pixels;  // of one split, or with squares samples
  std::int64_t samples;
  T* sums;     // [split][filter][place]
  bool go_on;  // with squares: adds to what is in `sums`
};

__device__ inline std::int64_t lesser(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// A column: where its part of the window lies, and its channel.
struct Column {
  int h, w, c;  // c < 0 for none
};

template <class T>
__device__ Column column_at(const GradientProduct<T>& p, int j) {
  if (j >= p.places) return {0, 0, -1};
  const int part = j / p.C, r = part / p.S;
  return {r * p.dilation_h - p.padding_h, (part - r * p.S) * p.dilation_w - p.padding_w,
          j - part * p.C};
}

// A pixel of the result, and its place among all.
struct ResultPixel {
  std::int64_t at, n;
  int p, q;
};

template <class T>
__device__ T image_element(const GradientProduct<T>& g, const ResultPixel& pixel,
                           const Column& column, bool wanted) {
  const int h = pixel.p * g.stride_h + column.h, w = pixel.q * g.stride_w + column.w;
  if (!wanted || column.c < 0 || h < 0 || h >= g.H || w < 0 || w >= g.W) return T(0);
  return g.x[((pixel.n * g.H + h) * g.W + w) * g.C + column.c];
}

template <class T, int Q, bool quads, bool squares>
__global__ void __launch_bounds__(block_threads, Q == 2                                ? 2
                                                 : sizeof(T) == 4 && quads && !squares ? 4
                                                                                       : 1)
    gradient_product(GradientProduct<T> g, int columns_of_tiles) {
  __shared__ TilePiece<T, Q> gradients[2], images[2];
  const int first_row = static_cast<int>(blockIdx.x) / columns_of_tiles * (Q * tile_unit);
  const int first_column = static_cast<int>(blockIdx.x) % columns_of_tiles * (Q * tile_unit);
  const int ty = static_cast<int>(threadIdx.x) / 16, tx = static_cast<int>(threadIdx.x) % 16;

  constexpr int columns_a_quad = quads ? 1 : 4;
  Column column[Q][columns_a_quad];
#pragma unroll
  for (int q = 0; q < Q; ++q)
#pragma unroll
    for (int i = 0; i < columns_a_quad; ++i)
      column[q][i] = column_at(g, first_column + LineFirst::line(q) + i);

  // The sum runs over items: all pixels of this split, or with squares each of its samples for each
  // gradient. `end` is the pixel after the item's last.
  const int image_pixels = g.P * g.Q;
  const std::int64_t first = blockIdx.y * g.part_pixels;
  const std::int64_t last_sample = squares ? lesser(first + g.part_pixels, g.samples) : 0;
  std::int64_t sample = first, end;
  int gradient = 0;
  ResultPixel pixel;
  const auto begin_item = [&] {
    const std::int64_t begin = squares ? sample * image_pixels : first;
    end = squares ? begin + image_pixels : lesser(first + g.part_pixels, g.pixels);
    pixel.at = begin + LineFirst::along();
    pixel.n = pixel.at / image_pixels;
    const int rest = static_cast<int>(pixel.at - pixel.n * image_pixels);
    pixel.p = rest / g.Q;
    pixel.q = rest - pixel.p * g.Q;
  };
  const std::int64_t length = squares ? image_pixels : lesser(g.part_pixels, g.pixels - first);
  const std::int64_t item_steps = (length + tile_depth - 1) / tile_depth;
  const std::int64_t items = squares ? (last_sample - first) * g.gradients : 1;

  Quad<T> next_gradients[Q], next_images[Q];
  const auto load = [&] {
    const bool wanted = pixel.at < end;
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      Quad<T> dy = {}, x = {};
      const int k = first_row + LineFirst::line(q);
      if constexpr (quads) {
        if (wanted && k < g.K)
          dy = *reinterpret_cast<const Quad<T>*>(g.dy[gradient] + pixel.at * g.K + k);
        const Column& c = column[q][0];
        const int h = pixel.p * g.stride_h + c.h, w = pixel.q * g.stride_w + c.w;
        if (wanted && c.c >= 0 && h >= 0 && h < g.H && w >= 0 && w < g.W)
          x = *reinterpret_cast<const Quad<T>*>(g.x + ((pixel.n * g.H + h) * g.W + w) * g.C + c.c);
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (wanted && k + i < g.K) dy.v[i] = g.dy[gradient][pixel.at * g.K + k + i];
          x.v[i] = image_element(g, pixel, column[q][i], wanted);
        }
      }
      next_gradients[q] = dy;
      next_images[q] = x;
    }
  };
  const auto next_pixels = [&] {
    pixel.at += tile_depth;
    pixel.q += tile_depth;
    while (pixel.q >= g.Q) {
      pixel.q -= g.Q;
      if (++pixel.p == g.P) pixel.p = 0, ++pixel.n;
    }
  };
  const auto store = [&](int to) {
    LineFirst::store(gradients[to], next_gradients);
    LineFirst::store(images[to], next_images);
  };

  TileSums<T, Q> sums, total;
  sums.clear();
  if constexpr (squares) total.clear();
  const std::int64_t steps = items * item_steps;
  if (steps > 0) {
    begin_item();
    load();
    store(0);
    __syncthreads();
  }
  std::int64_t item_step = 0;  // of what is in shared memory
  for (std::int64_t step = 0; step < steps; ++step) {
    const int now = static_cast<int>(step % 2);
    const bool more = step + 1 < steps, item_ends = item_step + 1 == item_steps;
    if (more) {
      if (item_ends) {
        if (++gradient == g.gradients) gradient = 0, ++sample;
        begin_item();
      } else {
        next_pixels();
      }
      load();
    }
    sums.add_products(gradients[now], images[now], ty, tx);
    if (more) store(1 - now);
    item_step = item_ends ? 0 : item_step + 1;
    if constexpr (squares) {
      if (item_ends) {
#pragma unroll
        for (int i = 0; i < 4 * Q; ++i)
#pragma unroll
          for (int j = 0; j < 4 * Q; ++j)
            total.sum[i][j] = multiply_add(sums.sum[i][j], sums.sum[i][j], total.sum[i][j]);
        sums.clear();
      }
    }
    __syncthreads();
  }

  T* const out = g.sums + static_cast<std::int64_t>(blockIdx.y) * g.K * g.places;
#pragma unroll
  for (int i = 0; i < 4 * Q; ++i) {
    const int k = first_row + sums.row(i, ty);
#pragma unroll
    for (int j = 0; j < 4 * Q; ++j) {
      const int place = first_column + sums.row(j, tx);
      if (k < g.K && place < g.places) {
        T* const to = out + static_cast<std::int64_t>(k) * g.places + place;
        if constexpr (squares)
          *to = g.go_on ? *to + total.sum[i][j] : total.sum[i][j];
        else
          *to = sums.sum[i][j];
      }
    }
  }
}

// out[i] = Σ over splits of sums[split][i], in their order.
template <class T>
__global__ void add_splits(T* out, const T* sums, std::int64_t count, int splits) {
  for_each_step(count, [&](std::int64_t i) {
    T sum = sums[i];
    for (int split = 1; split < splits; ++split) sum += sums[split * count + i];
    out[i] = sum;
  });
}

// Whether tiles are 128 x 128 where the memory is aligned.
bool takes_large_tiles(std::int64_t K, std::int64_t C, std::int64_t places, std::size_t element,
                       bool squares) {
  return element == sizeof(float) && !squares && K % quad_size == 0 && C % quad_size == 0 &&
         K > tile_unit && places > tile_unit;
}

// How the sum is shared: parts of so many pixels (samples with squares), so many parts.
struct Splits {
  std::int64_t size, count;
};
Splits splits_of(const ConvShape& s, std::size_t element, bool squares) {
  const std::int64_t filters = s.K * s.R * s.S * s.C, all = squares ? s.N : s.N * s.P * s.Q;
  if (filters == 0 || all == 0) return {all, 1};
  // As many blocks as run at once on some 130 multiprocessors, two on each of large tiles and four of
  // small ones, parts that are worth their sums, and at most 64 MiB of those.
  constexpr std::int64_t shortest = 128, most_bytes = 64 << 20;
  const std::int64_t places = filters / s.K;
  const bool large = takes_large_tiles(s.K, s.C, places, element, squares);
  const std::int64_t side = large ? 2 * tile_unit : tile_unit, enough = large ? 264 : 528;
  const std::int64_t tiles = divide_up(s.K, side) * divide_up(places, side);
  const std::int64_t bytes = filters * static_cast<std::int64_t>(element);
  const std::int64_t wanted =
      std::min({std::max<std::int64_t>(1, enough / tiles), squares ? all : divide_up(all, shortest),
                std::max<std::int64_t>(1, most_bytes / bytes)});
  const std::int64_t size = divide_up(all, wanted);
  return {size, divide_up(all, size)};
}

std::size_t bytes_of(const ConvShape& s, DType dtype, bool squares) {
  const std::size_t element = size_of(dtype);
  const Splits splits = splits_of(s, element, squares);
  return splits.count == 1
             ? 0
             : static_cast<std::size_t>(splits.count * s.K * s.R * s.S * s.C) * element;
}

int narrow(std::int64_t n) { return static_cast<int>(n); }

template <class T>
GradientProduct<T> product_of(const ConvShape& s, const T* x) {
  return {.dy = {},
          .gradients = 1,
          .x = x,
          .H = narrow(s.H),
          .W = narrow(s.W),
          .C = narrow(s.C),
          .K = narrow(s.K),
          .S = narrow(s.S),
          .P = narrow(s.P),
          .Q = narrow(s.Q),
          .stride_h = narrow(s.conv.stride.height),
          .stride_w = narrow(s.conv.stride.width),
          .padding_h = narrow(s.conv.padding.height),
          .padding_w = narrow(s.conv.padding.width),
          .dilation_h = narrow(s.conv.dilation.height),
          .dilation_w = narrow(s.conv.dilation.width),
          .places = narrow(s.R * s.S * s.C),
          .pixels = s.N * s.P * s.Q,
          .part_pixels = 0,
          .samples = s.N,
          .sums = nullptr,
          .go_on = false};
}

template <class T, int Q, bool squares>
void launch_tiles(const Stream& stream, const GradientProduct<T>& g, std::int64_t splits,
                  bool quads) {
  constexpr std::int64_t side = Q * tile_unit;
  const std::int64_t across = divide_up(g.places, side), down = divide_up(g.K, side);
  const Grid grid = {dim3(static_cast<unsigned>(across * down), static_cast<unsigned>(splits)),
                     dim3(block_threads)};
  if (quads)
    launch(stream, grid, gradient_product<T, Q, true, squares>, g, narrow(across));
  else if constexpr (Q == 1)
    launch(stream, grid, gradient_product<T, Q, false, squares>, g, narrow(across));
}

template <class T, bool squares>
void launch_product(const Stream& stream, const GradientProduct<T>& g, std::int64_t splits) {
  bool quads = takes_quads(g.x, g.C);
  for (int d = 0; d < g.gradients; ++d) quads = quads && takes_quads(g.dy[d], g.K);
  if constexpr (std::is_same_v<T, float> && !squares) {
    if (quads && takes_large_tiles(g.K, g.C, g.places, sizeof(T), squares))
      return launch_tiles<T, 2, squares>(stream, g, splits, quads);
  }
  launch_tiles<T, 1, squares>(stream, g, splits, quads);
}

template <class T>
void fill_zero(const Stream& stream, T* out, std::int64_t count) {
  UNDERSTUDY_CUDA(
      cudaMemsetAsync(out, 0, static_cast<std::size_t>(count) * sizeof(T), stream.use()));
  stream.finish_launch();
}

}  // namespace

std::size_t weight_gradient_bytes(const ConvShape& s, DType dtype) {
  return bytes_of(s, dtype, false);
}
std::size_t squared_gradients_bytes(const ConvShape& s, DType dtype) {
  return bytes_of(s, dtype, true);
}

// dw[k, r, s, c] = Σ over n, p, q of dy[n, p, q, k] · x[n, h, w, c].
template <class T>
void implicit_weight_gradient(const Stream& stream, const ConvShape& s, T* dw, const T* dy,
                              const T* x, void* working) {
  const std::int64_t count = s.K * s.R * s.S * s.C;
  if (count == 0) return;
  GradientProduct<T> g = product_of(s, x);
  if (g.pixels == 0) return fill_zero(stream, dw, count);
  const Splits splits = splits_of(s, sizeof(T), false);
  g.dy[0] = dy;
  g.part_pixels = splits.size;
  g.sums = splits.count == 1 ? dw : static_cast<T*>(working);
  launch_product<T, false>(stream, g, splits.count);
  if (splits.count > 1)
    launch(stream, grid_for(count), add_splits<T>, dw, g.sums, count, narrow(splits.count));
}

// Σ over the samples and the gradients of the square of the sum over one sample's pixels.
template <class T>
void implicit_squared_gradients(const Stream& stream, const ConvShape& s, T* sums,
                                std::span<const ConstView> dy, const T* x, void* working) {
  const std::int64_t count = s.K * s.R * s.S * s.C;
  if (count == 0) return;
  GradientProduct<T> g = product_of(s, x);
  if (g.pixels == 0) return fill_zero(stream, sums, count);
  const Splits splits = splits_of(s, sizeof(T), true);
  g.part_pixels = splits.size;
  g.sums = splits.count == 1 ? sums : static_cast<T*>(working);
  for (std::size_t first = 0; first < dy.size(); first += most_gradients) {
    g.gradients = narrow(
        std::min<std::int64_t>(most_gradients, static_cast<std::int64_t>(dy.size() - first)));
    for (int d = 0; d < g.gradients; ++d)
      g.dy[d] = dy[first + static_cast<std::size_t>(d)].template as<T>();
    g.go_on = first > 0;
    launch_product<T, true>(stream, g, splits.count);
  }
  if (splits.count > 1)
    launch(stream, grid_for(count), add_splits<T>, sums, g.sums, count, narrow(splits.count));
}

#define UNDERSTUDY_IMPLICIT(T)                                                                    \
  template void implicit_weight_gradient(const Stream&, const ConvShape&, T*, const T*, const T*, \
                                         void*);                                                  \
  template void implicit_squared_gradients(const Stream&, const ConvShape&, T*,                   \
                                           std::span<const ConstView>, const T*, void*);
UNDERSTUDY_IMPLICIT(float)
UNDERSTUDY_IMPLICIT(double)
#undef UNDERSTUDY_IMPLICIT

}  // namespace understudy::cuda
