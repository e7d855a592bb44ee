// Sums and maxima over any axes. Bound by memory: every element is read once, and sums are made in
// double, one addition for each 4 bytes.
//
// A result's elements are met along the reduced axes where those are closest together in memory
// (rows), and else side by side with its neighbours' (columns). Where there are few results, each is
// made of parts, which a second launch joins. What is joined with what, and when, is a function of
// sizes and strides alone.
#include <algorithm>
#include <cstdlib>
#include <limits>

#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/dispatch.h"
#include "kernels/reduction_axes.h"

namespace understudy::cuda {
namespace {

// Blocks that fill a GPU, at 4 on each of some 130 processors with 64 kB of loads in flight.
constexpr std::int64_t enough_blocks = 512;

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
struct Problem {
  ReductionAxes axes;
  const In* in;
  Out* out;      // where there is one part
  Value* parts;  // else: (results, parts) for rows, (parts, results) for columns
  std::int64_t part_count = 1;
  std::int64_t part_size;  // reduced elements of a part
};

// ---- rows: a team of threads for each part of a result ----

struct RowTeam {
  int size;
  std::int64_t parts, part_size;

  RowTeam(std::int64_t kept, std::int64_t reduced) : parts(1), part_size(reduced) {
    const std::int64_t quads = (reduced + quad_size - 1) / quad_size;
    size = quads <= 16 * warp_size ? std::min(power_of_two(quads), warp_size) : block_threads;
    if (size < block_threads) return;
    constexpr std::int64_t step = quad_size * block_threads;
    const std::int64_t most = (reduced + 4 * step - 1) / (4 * step);
    parts = std::clamp<std::int64_t>(enough_blocks / kept, 1, most);
    part_size = (reduced + parts * step - 1) / (parts * step) * step;
    parts = (reduced + part_size - 1) / part_size;
  }
};

// A thread takes every size-th four neighbours, whether it can load them at once or not.
template <class Op, bool quads, class In, class Out, class Value>
__global__ void rows_kernel(Problem<In, Out, Value> p, int size) {
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
__global__ void columns_kernel(Problem<In, Out, Value> p, int across, int down) {
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

// ---- launches ----

unsigned blocks_for(std::int64_t teams, int size) {
  const std::int64_t each = block_threads / size;
  return static_cast<unsigned>((teams + each - 1) / each);
}

// Whether every step along the first `axes` axes is a whole number of quads.
template <int N>
bool whole_quads(const Walk<N>& walk, int axes) {
  for (int axis = 0; axis < axes; ++axis)
    if (walk.shape[axis] > 1 && walk.strides[0][axis] % quad_size != 0) return false;
  return true;
}

template <class Op, class In, class Out, class Value>
void reduce_rows(const Stream& stream, const Problem<In, Out, Value>& p, int size) {
  const auto& [kept, reduced] = p.axes;
  const bool quads = reduced.rank == 1 && reduced.inner_stride(0) == 1 && takes_quads(p.in, 0) &&
                     whole_quads(kept, kept.rank);
  const Grid grid{blocks_for(kept.count * p.part_count, size), block_threads};
  if (quads)
    launch(stream, grid, rows_kernel<Op, true, In, Out, Value>, p, size);
  else
    launch(stream, grid, rows_kernel<Op, false, In, Out, Value>, p, size);
}

template <class Op, class In, class Out, class Value>
void reduce_columns(const Stream& stream, const Problem<In, Out, Value>& p,
                    const ColumnTeam& team) {
  const auto& [kept, reduced] = p.axes;
  const bool aligned = kept.inner_stride(0) == 1 && takes_quads(p.in, 0) &&
                       whole_quads(kept, kept.rank - 1) && whole_quads(reduced, reduced.rank);
  const std::int64_t teams = kept.count / kept.inner() * team.tiles(kept.inner()) * p.part_count;
  const Grid grid{blocks_for(teams, team.across * team.down), block_threads};
  with_columns(team.width, aligned, [&]<int width, bool quads>() {
    launch(stream, grid, columns_kernel<Op, width, quads, In, Out, Value>, p, team.across,
           team.down);
  });
}

// The joining of (results, parts) or (parts, results), dense.
template <class In, class Out, class Value>
Problem<Value, Out, Value> second_stage(const Problem<In, Out, Value>& p, bool columns) {
  Problem<Value, Out, Value> joined{p.axes, p.parts, p.out, nullptr, 1, p.part_count};
  auto& [kept, reduced] = joined.axes;
  std::int64_t step = columns ? 1 : p.part_count;
  for (int axis = kept.rank - 1; axis >= 0; --axis) {
    kept.strides[0][axis] = step;
    step *= kept.shape[axis];
  }
  reduced = {};
  reduced.count = reduced.shape[0] = p.part_count;
  reduced.strides[0][0] = columns ? kept.count : 1;
  return joined;
}

template <class Op, class Value, class T>
void reduce_all(const Stream& stream, Workspace& workspace, const ReductionAxes& axes, T* out,
                const T* in) {
  const std::int64_t kept = axes.kept.count, reduced = axes.reduced.count;
  const std::int64_t inner = axes.kept.inner();
  Problem<T, T, Value> p{axes, in, out, nullptr, 1, reduced};
  const auto make_parts = [&] {
    if (p.part_count > 1) p.parts = workspace.get<Value>(kept * p.part_count);
  };
  const bool columns =
      kept > 1 && std::abs(axes.kept.inner_stride(0)) < std::abs(axes.reduced.inner_stride(0));
  if (columns) {
    const ColumnTeam team(inner, reduced);
    const std::int64_t tiles = kept / inner * team.tiles(inner);
    const std::int64_t step = team.down * 4 * ColumnTeam::rows_each;
    const std::int64_t most = (reduced + step - 1) / step;
    const std::int64_t parts = std::clamp<std::int64_t>(enough_blocks / tiles, 1, most);
    p.part_size = (reduced + parts - 1) / parts;
    p.part_count = (reduced + p.part_size - 1) / p.part_size;
    make_parts();
    reduce_columns<Op>(stream, p, team);
    if (p.part_count > 1)
      reduce_columns<Op>(stream, second_stage(p, true), ColumnTeam(inner, p.part_count));
  } else {
    const RowTeam team(kept, reduced);
    p.part_size = team.part_size;
    p.part_count = team.parts;
    make_parts();
    reduce_rows<Op>(stream, p, team.size);
    if (p.part_count > 1)
      reduce_rows<Op>(stream, second_stage(p, false), RowTeam(kept, p.part_count).size);
  }
}

}  // namespace

void CudaBackend::reduce(Reduction op, const View& out, const ConstView& in) {
  if (in.shape.count() == 0)
    return fill(out, op == Reduction::sum ? 0.0 : -std::numeric_limits<double>::infinity());
  if (out.shape == in.shape) return copy(out, in);
  const ReductionAxes axes = reduction_axes(out, in);
  with_float(in.dtype, [&]<class T>(Type<T>) {
    if (op == Reduction::sum)
      reduce_all<Sum, double>(stream_, workspace_, axes, out.as<T>(), in.as<T>());
    else
      reduce_all<Max<T>, T>(stream_, workspace_, axes, out.as<T>(), in.as<T>());
  });
}

}  // namespace understudy::cuda
