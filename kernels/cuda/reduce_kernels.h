// The kernels of reductions (reduce.cu). Device code.
#pragma once

#include "kernels/cuda/columns.h"
#include "kernels/reduction_axes.h"

namespace understudy::cuda {

// Where array `array` stands at element i of a walk.
template <int array, int N>
__device__ std::int64_t offset_at(const Walk<N>& walk, std::int64_t i) {
  std::int64_t offset = 0;
  if (walk.count <= INT32_MAX) {
    auto rest = static_cast<std::uint32_t>(i);
    for (int axis = walk.rank - 1; axis > 0; --axis) {
      const auto size = static_cast<std::uint32_t>(walk.shape[axis]), above = rest / size;
      offset += (rest - above * size) * walk.strides[array][axis];
      rest = above;
    }
    return offset + rest * walk.strides[array][0];
  }
  for (int axis = walk.rank - 1; axis > 0; --axis) {
    const std::int64_t above = i / walk.shape[axis];
    offset += (i - above * walk.shape[axis]) * walk.strides[array][axis];
    i = above;
  }
  return offset + i * walk.strides[array][0];
}

template <class In, class Out, class Value>
struct ReduceCall {
  ReductionAxes axes;
  const In* in;
  Out* out;      // where there is one part
  Value* parts;  // else: (results, parts) for rows, (parts, results) for columns
  std::int64_t part_count = 1;
  std::int64_t part_size;  // reduced elements of a part
};

// ---- rows: a team of threads for each part of a result ----

// A thread takes every size-th four neighbours, whether it can load them at once or not.
template <class Op, bool quads, class In, class Out, class Value>
__global__ void rows_kernel(ReduceCall<In, Out, Value> p, int size) {
  const std::int64_t teams = block_threads / size;
  const std::int64_t team = blockIdx.x * teams + static_cast<std::int64_t>(threadIdx.x) / size;
  const std::int64_t kept = team / p.part_count, part = team - kept * p.part_count;
  const bool works = kept < p.axes.kept.count;
  Value value[quad_size];
#pragma unroll
  for (int j = 0; j < quad_size; ++j) value[j] = Op::start();
  if (works) {
    const In* const row = p.in + offset_at<0>(p.axes.kept, kept);
    const std::int64_t begin = part * p.part_size;
    const std::int64_t rest = p.axes.reduced.count - begin;
    const std::int64_t end = begin + (rest < p.part_size ? rest : p.part_size);
    const std::int64_t stride = p.axes.reduced.strides[0][0];
    const bool line = p.axes.reduced.rank == 1;
    std::int64_t i = begin + threadIdx.x % size * quad_size;
    const std::int64_t step = size * quad_size;
    if (line) {
#pragma unroll 4
      for (; i + quad_size <= end; i += step) {
        In four[quad_size];
        if constexpr (quads) {
          load<quad_size, true>(four, row + i);
        } else {
#pragma unroll
          for (int j = 0; j < quad_size; ++j) four[j] = row[(i + j) * stride];
        }
#pragma unroll
        for (int j = 0; j < quad_size; ++j)
          value[j] = Op::join(value[j], static_cast<Value>(four[j]));
      }
    }
    for (; i < end; i += step)
#pragma unroll
      for (int j = 0; j < quad_size; ++j)
        if (i + j < end)
          value[j] = Op::join(
              value[j], static_cast<Value>(
                            row[line ? (i + j) * stride : offset_at<0>(p.axes.reduced, i + j)]));
  }
  Value all = Op::join(Op::join(value[0], value[1]), Op::join(value[2], value[3]));
  all = join_team<Op>(all, size);
  if (!works || threadIdx.x % size != 0) return;
  if (p.part_count == 1)
    p.out[offset_at<1>(p.axes.kept, kept)] = static_cast<Out>(all);
  else
    p.parts[team] = all;
}

// ---- columns: a team of threads for a part of some neighbouring results ----

// Teams that have nothing to do help at the barriers.
template <class Op, int width, bool quads, class In, class Out, class Value>
__global__ void columns_kernel(ReduceCall<In, Out, Value> p, int across, int down) {
  const int thread = static_cast<int>(threadIdx.x), size = across * down;
  const std::int64_t inner = p.axes.kept.shape[p.axes.kept.rank - 1];
  const std::int64_t columns = width * across, tiles = (inner + columns - 1) / columns;
  // Neighbouring teams have neighbouring tiles, then other parts of them, then the outer axes.
  const std::int64_t team =
      static_cast<std::int64_t>(blockIdx.x) * (block_threads / size) + thread / size;
  const std::int64_t tile = team % tiles, part = team / tiles % p.part_count,
                     outer = team / tiles / p.part_count;
  const std::int64_t column = tile * columns + thread % across * width;
  const std::int64_t kept = outer * inner + column;
  const bool works = kept < p.axes.kept.count && column < inner;
  Value value[width];
#pragma unroll
  for (int j = 0; j < width; ++j) value[j] = Op::start();
  if (works) {
    const In* const first = p.in + offset_at<0>(p.axes.kept, kept);
    const std::int64_t column_stride = p.axes.kept.strides[0][p.axes.kept.rank - 1];
    const std::int64_t begin = part * p.part_size;
    const std::int64_t rest = p.axes.reduced.count - begin;
    const std::int64_t end = begin + (rest < p.part_size ? rest : p.part_size);
    const std::int64_t stride = p.axes.reduced.strides[0][0];
    const auto add = [&](const In* at) {
      In some[width];
      if constexpr (quads) {
        load<width, true>(some, at);
      } else {
#pragma unroll
        for (int j = 0; j < width; ++j) some[j] = at[j * column_stride];
      }
#pragma unroll
      for (int j = 0; j < width; ++j) value[j] = Op::join(value[j], static_cast<Value>(some[j]));
    };
    std::int64_t i = begin + thread / across % down;
    if (p.axes.reduced.rank == 1) {
#pragma unroll 4
      for (; i < end; i += down) add(first + i * stride);
    } else {
      for (; i < end; i += down) add(first + offset_at<0>(p.axes.reduced, i));
    }
  }
  join_columns<Op>(value, across, down);
  if (!works || thread / across % down != 0) return;
#pragma unroll
  for (int j = 0; j < width; ++j)
    if (p.part_count == 1)
      p.out[offset_at<1>(p.axes.kept, kept + j)] = static_cast<Out>(value[j]);
    else
      p.parts[part * p.axes.kept.count + kept + j] = value[j];
}

}  // namespace understudy::cuda
