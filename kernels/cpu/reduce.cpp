#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/reduction_axes.h"

namespace understudy::cpu {
namespace {

constexpr std::int64_t grain = 16384;  // elements of the input for each thread
constexpr std::int64_t strip = 512;    // columns summed side by side
constexpr std::int64_t tile = 64;      // columns that threads are given in multiples of

template <class T>
struct Sum {
  using Value = double;
  static constexpr Value start = 0;
  static Value join(Value a, Value b) { return a + b; }
  static Value run(std::int64_t n, const T* x, std::int64_t stride) {
    return loops<T>().reduce->sum(n, x, stride);
  }
  static void rows(std::int64_t rows, std::int64_t columns, Value* v, const T* x,
                   std::int64_t row_stride) {
    loops<T>().reduce->add_rows(rows, columns, v, x, row_stride);
  }
};

template <class T>
struct Max {
  using Value = T;
  static constexpr Value start = -std::numeric_limits<T>::infinity();
  static Value join(Value a, Value b) { return BinaryFormula<Binary::maximum>::value(a, b); }
  static Value run(std::int64_t n, const T* x, std::int64_t stride) {
    return loops<T>().reduce->max(n, x, stride);
  }
  static void rows(std::int64_t rows, std::int64_t columns, Value* v, const T* x,
                   std::int64_t row_stride) {
    loops<T>().reduce->max_rows(rows, columns, v, x, row_stride);
  }
};

struct Split : ReductionAxes {
  // The last kept axis is dense in the input: its elements are columns, summed side by side.
  bool columns;

  Split(const View& out, const ConstView& in)
      : ReductionAxes(reduction_axes(out, in)),
        columns(kept.inner_stride(0) == 1 && reduced.inner_stride(0) != 1) {}
};

// For each element of `kept`, what the elements `part` of the reduced axes come to (all of them, or
// one thread's): store(element, its offset in out, value).
template <class T, class Op, class Store>
void reduce_cells(const Split& split, const T* x, Chunk kept, Chunk part, Store&& store) {
  const auto in_step = split.kept.inner_stride(0), out_step = split.kept.inner_stride(1);
  const auto stride = split.reduced.inner_stride(0);
  std::int64_t index = kept.begin;
  for_each_row(split.kept, kept.begin, kept.end, [&](std::int64_t n, const std::int64_t(&at)[2]) {
    for (std::int64_t i = 0; i < n; ++i) {
      const T* const cell = x + at[0] + i * in_step;
      typename Op::Value value = Op::start;
      for_each_row(split.reduced, part.begin, part.end,
                   [&](std::int64_t run, const std::int64_t(&from)[1]) {
                     value = Op::join(value, Op::run(run, cell + from[0], stride));
                   });
      store(index++, at[1] + i * out_step, value);
    }
  });
}

// The same, for many columns at once.
template <class T, class Op, class Store>
void reduce_columns(const Split& split, const T* x, Chunk kept, Chunk part, Store&& store) {
  const auto out_step = split.kept.inner_stride(1);
  const auto stride = split.reduced.inner_stride(0);
  std::int64_t index = kept.begin;
  typename Op::Value value[strip];
  for_each_row(split.kept, kept.begin, kept.end, [&](std::int64_t n, const std::int64_t(&at)[2]) {
    for (std::int64_t c = 0; c < n; c += strip) {
      const std::int64_t columns = std::min(strip, n - c);
      std::fill(value, value + columns, Op::start);
      for_each_row(split.reduced, part.begin, part.end,
                   [&](std::int64_t rows, const std::int64_t(&from)[1]) {
                     Op::rows(rows, columns, value, x + at[0] + c + from[0], stride);
                   });
      for (std::int64_t i = 0; i < columns; ++i)
        store(index++, at[1] + (c + i) * out_step, value[i]);
    }
  });
}

template <class T, class Op, class Store>
void reduce_part(const Split& split, const T* x, Chunk kept, Chunk part, Store&& store) {
  if (split.columns)
    reduce_columns<T, Op>(split, x, kept, part, store);
  else
    reduce_cells<T, Op>(split, x, kept, part, store);
}

template <class T, class Op>
void reduce_all(const Split& split, T* out, const T* x) {
  using Value = typename Op::Value;
  const std::int64_t kept = split.kept.count, reduced = split.reduced.count;
  const int chunks = chunk_count(kept * reduced, grain);
  const std::int64_t unit = split.columns ? tile : 1;
  const auto write = [&](std::int64_t, std::int64_t at, Value value) {
    out[at] = static_cast<T>(value);
  };
  if (chunks == 1 || kept >= chunks * unit) {
    parallel_for(kept, std::max(unit, grain / reduced), [&](std::int64_t begin, std::int64_t end) {
      reduce_part<T, Op>(split, x, {begin, end}, {0, reduced}, write);
    });
    return;
  }
  // Few results of many elements: each thread reduces a part, and the parts are joined in order.
  thread_local std::vector<Value> scratch;
  scratch.resize(static_cast<std::size_t>(kept * chunks));
  Value* const values = scratch.data();
  run_chunks(chunks, [&](int i) {
    reduce_part<T, Op>(
        split, x, {0, kept}, chunk_at(reduced, chunks, i),
        [&](std::int64_t index, std::int64_t, Value value) { values[i * kept + index] = value; });
  });
  std::int64_t index = 0;
  const auto step = split.kept.inner_stride(1);
  for_each_row(split.kept, 0, kept, [&](std::int64_t n, const std::int64_t(&at)[2]) {
    for (std::int64_t i = 0; i < n; ++i, ++index) {
      Value value = values[index];
      for (int chunk = 1; chunk < chunks; ++chunk)
        value = Op::join(value, values[chunk * kept + index]);
      out[at[1] + i * step] = static_cast<T>(value);
    }
  });
}

}  // namespace

void CpuBackend::reduce(Reduction op, const View& out, const ConstView& in) {
  if (in.shape.count() == 0)
    return fill(out, op == Reduction::sum ? 0.0 : -std::numeric_limits<double>::infinity());
  if (out.shape == in.shape) return copy(out, in);
  const Split split(out, in);
  with_float(in.dtype, [&]<class T>(Type<T>) {
    if (op == Reduction::sum)
      reduce_all<T, Sum<T>>(split, out.as<T>(), in.as<T>());
    else
      reduce_all<T, Max<T>>(split, out.as<T>(), in.as<T>());
  });
}

}  // namespace understudy::cpu
