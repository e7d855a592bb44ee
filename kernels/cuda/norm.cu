// Batch norm: statistics and the forward pass (norm_backward.cu has the gradients). Bound by memory:
// the statistics read x once, the forward pass reads x (and a residual) once and writes y.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/norm.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

// ---- statistics ----

// A thread's rows in blocks of rows_per_sum, from each block's first.
template <class T, int width, bool quads>
__global__ void __launch_bounds__(block_threads, blocks_of_sums<T>)
    moments_kernel(double* parts, const T* x, RowShape s, int across, int down, std::int64_t tiles,
                   std::int64_t part_count) {
  const ChannelPlace<width> at(across, tiles);
  double sum[width] = {}, square[width] = {};
  if (at.channel < s.C) {
    const RowRange range(s.rows, part_count, at.part);
    T pivot[width];
    load<width, quads>(pivot, x + at.channel);
    const std::int64_t step = down * s.C;
    std::int64_t left = (range.end - range.begin - at.y + down - 1) / down;
    const T* row = x + (range.begin + at.y) * s.C + at.channel;
    for (; left > 0; left -= batch_norm::rows_per_sum) {
      const int R =
          static_cast<int>(left < batch_norm::rows_per_sum ? left : batch_norm::rows_per_sum);
      T base[width], d[width] = {}, d_square[width] = {};
      load<width, quads>(base, row);
      row += step;
#pragma unroll 4
      for (int r = 1; r < R; ++r, row += step) {
        T value[width];
        load<width, quads>(value, row);
#pragma unroll
        for (int i = 0; i < width; ++i) {
          const T off = value[i] - base[i];
          d[i] += off;
          d_square[i] += off * off;
        }
      }
#pragma unroll
      for (int i = 0; i < width; ++i)
        batch_norm::add_moments(sum[i], square[i], static_cast<double>(R),
                                static_cast<double>(base[i]) - static_cast<double>(pivot[i]),
                                static_cast<double>(d[i]), static_cast<double>(d_square[i]));
    }
  }
  store_sums(parts, at, s.C, across, down, sum, square);
}

template <class T>
__global__ void statistics_kernel(T* mean, T* variance, const double* parts, std::int64_t count,
                                  const T* pivot, RowShape s) {
  const int x = static_cast<int>(threadIdx.x) % joining_across;
  const std::int64_t c = blockIdx.x * static_cast<std::int64_t>(joining_across) + x;
  double sums[2];
  join_parts(sums, parts, count, c, s.C);
  if (threadIdx.x >= joining_across || c >= s.C) return;
  const auto found = batch_norm::statistics_of(sums[0], sums[1], static_cast<double>(s.rows),
                                               static_cast<double>(pivot[c]));
  mean[c] = static_cast<T>(found.mean);
  variance[c] = static_cast<T>(found.variance);
}

// ---- forward ----

template <class T, int width, bool quads>
__global__ void normalize_kernel(T* y, const T* x, const T* residual, Norm<T> norm, RowShape s,
                                 int across, int down, std::int64_t tiles, std::int64_t parts) {
  const ChannelPlace<width> at(across, tiles);
  const ChannelConstants<T, width> k(norm, at, s.C, across);
  if (at.channel >= s.C) return;
  for (std::int64_t row = at.part * down + at.y; row < s.rows; row += parts * down) {
    const std::int64_t i = row * s.C + at.channel;
    T value[width], added[width] = {};
    load<width, quads>(value, x + i);
    if (residual != nullptr) load<width, quads>(added, residual + i);
#pragma unroll
    for (int j = 0; j < width; ++j) {
      value[j] = batch_norm::normalized(value[j] - k.mean[j], k.scale[j], k.bias[j]);
      if (residual != nullptr) value[j] += added[j];
      if (norm.relu) value[j] = UnaryFormula<Unary::relu>::value(value[j], T(0));
    }
    store<width, quads>(y + i, value);
  }
}

}  // namespace

void CudaBackend::channel_statistics(const View& mean, const View& variance, const ConstView& x) {
  const RowShape s = row_shape(x.shape);
  if (s.C == 0) return;
  with_float(x.dtype, [&]<class T>(Type<T>) {
    const ChannelLayout sums = ChannelLayout::of_sums(s);
    const auto [across, down] = std::pair(sums.team.across, sums.team.down);
    double* const parts = workspace_.get<double>(sums.parts * 2 * s.C);
    const T* const in = x.as<T>();
    with_columns(sums.team.width, aligned(s.C, in), [&]<int width, bool quads>() {
      launch(stream_, sums.grid(), moments_kernel<T, width, quads>, parts, in, s, across, down,
             sums.tiles, sums.parts);
    });
    launch(stream_, joining_grid(s.C), statistics_kernel<T>, mean.as<T>(), variance.as<T>(), parts,
           sums.parts, in, s);
  });
}

void CudaBackend::batch_norm(const View& y, const ConstView& x, const Normalization& norm,
                             const ConstView* residual) {
  const RowShape s = row_shape(x.shape);
  if (s.rows * s.C == 0) return;
  with_float(y.dtype, [&]<class T>(Type<T>) {
    const ChannelLayout each = ChannelLayout::of_elements(s);
    const T *const in = x.as<T>(), *const added = data_of<T>(residual);
    with_columns(each.team.width, aligned(s.C, y.as<T>(), in, added), [&]<int width, bool quads>() {
      launch(stream_, each.grid(), normalize_kernel<T, width, quads>, y.as<T>(), in, added,
             Norm<T>(norm), s, each.team.across, each.team.down, each.tiles, each.parts);
    });
  });
}

}  // namespace understudy::cuda
