// What the kernels of batch norm share: how blocks lie over x (rows, C), sums by channel in two
// stages, and the constants of a channel. Device code.
#pragma once

#include <algorithm>

#include "kernels/backend.h"
#include "kernels/batch_norm.h"
#include "kernels/cuda/columns.h"
#include "kernels/row_shape.h"

namespace understudy::cuda {

// Blocks that share a processor, so few registers to a thread; of these, those of sums that some 130
// processors run at once; and those that keep them busy with elementwise work.
template <class T>
inline constexpr int blocks_of_sums = sizeof(T) == sizeof(float) ? 4 : 2;
inline constexpr std::int64_t enough_blocks_for_sums = 512;
inline constexpr std::int64_t enough_blocks_for_each = 2048;
// Channels of a block that joins parts.
inline constexpr int joining_across = 8;

// How the blocks of a launch lie over (rows, C): `across` · `width` channels to a tile, and each
// tile's rows in `parts`.
struct ChannelLayout {
  ColumnTeam team;
  std::int64_t tiles, parts;

  ChannelLayout(const RowShape& s, std::int64_t enough, int rows_to_a_thread)
      : team(s.C, s.rows), tiles(team.tiles(s.C)) {
    const std::int64_t rows = static_cast<std::int64_t>(team.down) * rows_to_a_thread;
    parts = std::clamp<std::int64_t>(enough / tiles, 1, std::max<std::int64_t>(1, s.rows / rows));
  }
  Grid grid() const {
    return {dim3(static_cast<unsigned>(tiles * parts)),
            dim3(static_cast<unsigned>(team.across * team.down))};
  }
  static ChannelLayout of_sums(const RowShape& s) { return {s, enough_blocks_for_sums, 4}; }
  static ChannelLayout of_elements(const RowShape& s) { return {s, enough_blocks_for_each, 4}; }
};

// Where a thread stands: its first channel, and its row in the block.
template <int width>
struct ChannelPlace {
  std::int64_t channel, part;
  int x, y;

  __device__ ChannelPlace(int across, std::int64_t tiles)
      : x(static_cast<int>(threadIdx.x) % across), y(static_cast<int>(threadIdx.x) / across) {
    part = blockIdx.x / tiles;
    channel = (blockIdx.x - part * tiles) * across * width + x * width;
  }
};

// The rows [begin, end) of a part.
struct RowRange {
  std::int64_t begin, end;
  __device__ RowRange(std::int64_t rows, std::int64_t parts, std::int64_t part) {
    const std::int64_t each = rows / parts, more = rows % parts;
    begin = part * each + (part < more ? part : more);
    end = begin + each + (part < more ? 1 : 0);
  }
};

// Sums of a part: (parts, 2, C).
template <int width>
__device__ void store_sums(double* parts, const ChannelPlace<width>& at, std::int64_t C, int across,
                           int down, double (&a)[width], double (&b)[width]) {
  double both[2 * width];
#pragma unroll
  for (int i = 0; i < width; ++i) both[i] = a[i], both[width + i] = b[i];
  join_columns<Sum>(both, across, down);
  if (at.y != 0 || at.channel >= C) return;
#pragma unroll
  for (int i = 0; i < width; ++i) {
    parts[2 * at.part * C + at.channel + i] = both[i];
    parts[(2 * at.part + 1) * C + at.channel + i] = both[width + i];
  }
}

// The sums of all parts for this thread's channel, in the block's first row.
__device__ inline void join_parts(double (&sums)[2], const double* parts, std::int64_t count,
                                  std::int64_t channel, std::int64_t C) {
  sums[0] = sums[1] = 0;
  if (channel < C) {
#pragma unroll 4
    for (std::int64_t i = threadIdx.x / joining_across; i < count;
         i += block_threads / joining_across) {
      sums[0] += parts[2 * i * C + channel];
      sums[1] += parts[(2 * i + 1) * C + channel];
    }
  }
  join_columns<Sum>(sums, joining_across, block_threads / joining_across);
}
inline Grid joining_grid(std::int64_t C) {
  return {dim3(static_cast<unsigned>((C + joining_across - 1) / joining_across)),
          dim3(block_threads)};
}

// ---- constants by channel ----

template <class T>
struct Norm {
  const T *mean, *variance, *weight, *bias;
  double eps;
  bool relu;

  explicit Norm(const Normalization& n)
      : mean(n.mean.as<T>()),
        variance(n.variance.as<T>()),
        weight(n.weight.as<T>()),
        bias(n.bias.as<T>()),
        eps(n.eps),
        relu(n.relu) {}
};

template <class T, int width>
struct ChannelConstants {
  T mean[width], scale[width], bias[width];

  // Every thread of the block calls this. Each channel's root is taken once in the block.
  __device__ ChannelConstants(const Norm<T>& norm, const ChannelPlace<width>& at, std::int64_t C,
                              int across) {
    __shared__ T scales[quad_size * warp_size];
    const int thread = static_cast<int>(threadIdx.x), columns = across * width;
    const std::int64_t first = at.channel - at.x * width;
    for (int i = thread; i < columns && first + i < C; i += static_cast<int>(blockDim.x))
      scales[i] = static_cast<T>(
          static_cast<double>(norm.weight[first + i]) *
          batch_norm::inverse_deviation(static_cast<double>(norm.variance[first + i]), norm.eps));
    __syncthreads();
    if (at.channel >= C) return;
#pragma unroll
    for (int i = 0; i < width; ++i) {
      mean[i] = norm.mean[at.channel + i];
      scale[i] = scales[at.x * width + i];
      bias[i] = norm.bias[at.channel + i];
    }
  }
};

template <class... Pointers>
bool aligned(std::int64_t C, Pointers*... data) {
  return (takes_quads(data, C) && ...);
}
template <class T>
const T* data_of(const ConstView* view) {
  return view == nullptr ? nullptr : view->as<T>();
}

}  // namespace understudy::cuda
