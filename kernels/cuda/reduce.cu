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

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/reduce_kernels.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

// Blocks that fill a GPU, at 4 on each of some 130 processors with 64 kB of loads in flight.
constexpr std::int64_t enough_blocks = 512;

// The threads that have a row, and the parts that it is cut into.
struct PartTeam {
  int size;
  std::int64_t parts, part_size;

  PartTeam(std::int64_t kept, std::int64_t reduced) : parts(1), part_size(reduced) {
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
void reduce_rows(const Stream& stream, const ReduceCall<In, Out, Value>& p, int size) {
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
void reduce_columns(const Stream& stream, const ReduceCall<In, Out, Value>& p,
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
ReduceCall<Value, Out, Value> second_stage(const ReduceCall<In, Out, Value>& p, bool columns) {
  ReduceCall<Value, Out, Value> joined{p.axes, p.parts, p.out, nullptr, 1, p.part_count};
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
  ReduceCall<T, T, Value> p{axes, in, out, nullptr, 1, reduced};
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
    const PartTeam team(kept, reduced);
    p.part_size = team.part_size;
    p.part_count = team.parts;
    make_parts();
    reduce_rows<Op>(stream, p, team.size);
    if (p.part_count > 1)
      reduce_rows<Op>(stream, second_stage(p, false), PartTeam(kept, p.part_count).size);
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
