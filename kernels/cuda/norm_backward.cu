// The gradients of batch norm. Bound by memory: dy and x (and y) are read once for the sums by
// channel, which need them all, and once more for dx.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/norm.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

// Where the gradient passes the ReLU: everywhere, where y > 0, or where y, made again from x, is.
enum class Mask : int { none, from_y, from_x };

// g = the part of dy that passes; centred = x - mean.
template <class T, int width, bool quads>
__device__ void load_gradient(T (&g)[width], T (&centred)[width], const T* dy, const T* x,
                              const T* y, std::int64_t i, Mask mask,
                              const ChannelConstants<T, width>& k) {
  T result[width] = {};
  load<width, quads>(g, dy + i);
  load<width, quads>(centred, x + i);
  if (mask == Mask::from_y) load<width, quads>(result, y + i);
#pragma unroll
  for (int j = 0; j < width; ++j) {
    centred[j] -= k.mean[j];
    if (mask == Mask::from_x) result[j] = batch_norm::normalized(centred[j], k.scale[j], k.bias[j]);
    if (mask != Mask::none) g[j] = result[j] > T(0) ? g[j] : T(0);
  }
}

// Σ g and Σ g · (x - mean); g goes to `kept` unless that is null.
template <class T, int width, bool quads>
__global__ void __launch_bounds__(block_threads, blocks_of_sums<T>)
    gradient_sums_kernel(double* parts, T* kept, const T* dy, const T* x, const T* y, Mask mask,
                         Norm<T> norm, RowShape s, int across, int down, std::int64_t tiles,
                         std::int64_t part_count) {
  const ChannelPlace<width> at(across, tiles);
  const ChannelConstants<T, width> k(norm, at, s.C, across);
  double sum[width] = {}, product[width] = {};
  if (at.channel < s.C) {
    const RowRange range(s.rows, part_count, at.part);
    std::int64_t row = range.begin + at.y;
    while (row < range.end) {
      T few[width] = {}, few_products[width] = {};
      // Not unrolled: two rows need more registers than a thread has.
#pragma unroll 1
      for (int r = 0; r < batch_norm::rows_per_sum && row < range.end; ++r, row += down) {
        const std::int64_t i = row * s.C + at.channel;
        T g[width], centred[width];
        load_gradient<T, width, quads>(g, centred, dy, x, y, i, mask, k);
#pragma unroll
        for (int j = 0; j < width; ++j) {
          few[j] += g[j];
          few_products[j] += g[j] * centred[j];
        }
        if (kept != nullptr) store<width, quads>(kept + i, g);
      }
#pragma unroll
      for (int j = 0; j < width; ++j) {
        sum[j] += static_cast<double>(few[j]);
        product[j] += static_cast<double>(few_products[j]);
      }
    }
  }
  store_sums(parts, at, s.C, across, down, sum, product);
}

// Null for what is not wanted; mean_dy and slope are those of batch_norm::through_statistics.
template <class T>
struct ChannelGradients {
  T *dweight, *dbias, *mean_dy, *slope;
};

template <class T>
__global__ void channel_gradients_kernel(ChannelGradients<T> d, const double* parts,
                                         std::int64_t count, Norm<T> norm, RowShape s) {
  const int x = static_cast<int>(threadIdx.x) % joining_across;
  const std::int64_t c = blockIdx.x * static_cast<std::int64_t>(joining_across) + x;
  double sums[2];
  join_parts(sums, parts, count, c, s.C);
  if (threadIdx.x >= joining_across || c >= s.C) return;
  const double deviation =
      batch_norm::inverse_deviation(static_cast<double>(norm.variance[c]), norm.eps);
  const double n = static_cast<double>(s.rows);
  if (d.dbias != nullptr) d.dbias[c] = static_cast<T>(sums[0]);
  if (d.dweight != nullptr) d.dweight[c] = static_cast<T>(sums[1] * deviation);
  if (d.slope == nullptr) return;
  d.mean_dy[c] = static_cast<T>(sums[0] / n);
  d.slope[c] = static_cast<T>(batch_norm::slope_of(sums[1], deviation, n));
}

// dx = (g - mean_dy - (x - mean) · slope) · scale; slope is null where the statistics are constants.
template <class T, int width, bool quads>
__global__ void gradient_kernel(T* dx, const T* dy, const T* x, const T* y, Mask mask,
                                const T* mean_dy, const T* slope, Norm<T> norm, RowShape s,
                                int across, int down, std::int64_t tiles, std::int64_t parts) {
  const ChannelPlace<width> at(across, tiles);
  const ChannelConstants<T, width> k(norm, at, s.C, across);
  if (at.channel >= s.C) return;
  T means[width] = {}, slopes[width] = {};
  if (slope != nullptr) {
    load<width, false>(means, mean_dy + at.channel);
    load<width, false>(slopes, slope + at.channel);
  }
  for (std::int64_t row = at.part * down + at.y; row < s.rows; row += parts * down) {
    const std::int64_t i = row * s.C + at.channel;
    T g[width], centred[width];
    load_gradient<T, width, quads>(g, centred, dy, x, y, i, mask, k);
#pragma unroll
    for (int j = 0; j < width; ++j) {
      if (slope != nullptr)
        g[j] = batch_norm::through_statistics(g[j], centred[j], means[j], slopes[j]);
      g[j] *= k.scale[j];
    }
    store<width, quads>(dx + i, g);
  }
}

}  // namespace

void CudaBackend::batch_norm_backward(const NormalizationGradients& d, const ConstView& dy,
                                      const ConstView& x, const ConstView* y,
                                      const Normalization& norm, bool of_batch) {
  const RowShape s = row_shape(x.shape);
  if (s.C == 0) return;
  with_float(x.dtype, [&]<class T>(Type<T>) {
    const auto out = [](const View* view) { return view == nullptr ? nullptr : view->as<T>(); };
    const T* gradient = dy.as<T>();
    const T *const in = x.as<T>(), *const result = data_of<T>(y);
    T *const dx = out(d.dx), *const kept = out(d.dresidual);
    Mask mask = !norm.relu ? Mask::none : result != nullptr ? Mask::from_y : Mask::from_x;
    const bool through_statistics = of_batch && dx != nullptr;
    ChannelGradients<T> channels{out(d.dweight), out(d.dbias), nullptr, nullptr};
    if (through_statistics || channels.dweight != nullptr || channels.dbias != nullptr ||
        kept != nullptr) {
      const ChannelLayout sums = ChannelLayout::of_sums(s);
      const std::int64_t count = sums.parts * 2 * s.C;
      double* const parts = workspace_.get<double>(count + 2 * s.C);
      if (through_statistics) {
        channels.mean_dy = reinterpret_cast<T*>(parts + count);
        channels.slope = channels.mean_dy + s.C;
      }
      with_columns(sums.team.width, aligned(s.C, kept, gradient, in, result),
                   [&]<int width, bool quads>() {
                     launch(stream_, sums.grid(), gradient_sums_kernel<T, width, quads>, parts,
                            kept, gradient, in, result, mask, Norm<T>(norm), s, sums.team.across,
                            sums.team.down, sums.tiles, sums.parts);
                   });
      launch(stream_, joining_grid(s.C), channel_gradients_kernel<T>, channels, parts, sums.parts,
             Norm<T>(norm), s);
      if (kept != nullptr) gradient = kept, mask = Mask::none;
    }
    if (dx == nullptr || s.rows == 0) return;
    const ChannelLayout each = ChannelLayout::of_elements(s);
    with_columns(each.team.width, aligned(s.C, dx, gradient, in, result),
                 [&]<int width, bool quads>() {
                   launch(stream_, each.grid(), gradient_kernel<T, width, quads>, dx, gradient, in,
                          result, mask, channels.mean_dy, channels.slope, Norm<T>(norm), s,
                          each.team.across, each.team.down, each.tiles, each.parts);
                 });
  });
}

}  // namespace understudy::cuda
