#include <algorithm>

#include "kernels/batch_norm.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

constexpr Index grain = 16384;  // elements for each thread

// x (rows, C) with few channels is read as fewer and wider rows, `repeat` of them side by side, so
// that loops find whole vectors of columns. Column c holds channel c mod C.
struct Sheet {
  Index rows, C;
  Index repeat, columns;
  Index whole, rest;  // wide rows; columns of the last one, which is not whole

  // At least `width` columns.
  Sheet(const Dims& shape, Index width)
      : C(shape.rank() == 0 ? 1 : shape.back()), repeat(C == 0 ? 1 : (width + C - 1) / C) {
    rows = C == 0 ? 0 : shape.count() / C;
    columns = C * repeat;
    whole = rows / repeat;
    rest = rows % repeat * C;
  }
  Index count() const { return rows * C; }
  Index row_grain() const { return std::max<Index>(1, grain / std::max<Index>(1, columns)); }
};
// Sums read tiles of columns, and rows that end with a tile make that one stream.
constexpr Index sum_width = 64;
// Elementwise loops have less to do at the ends of longer rows.
constexpr Index element_width = 512;

// Sums by channel over all rows, two at a time: add(begin, rows, columns, a, b) adds the sums of
// wide rows that begin at element `begin`. a and b take the result, (C) each.
template <class Add>
void sum_rows(const Sheet& s, double* parts, double* a, double* b, Add&& add) {
  const int chunks = chunk_count(s.whole, s.row_grain());
  std::fill(parts, parts + chunks * 2 * s.columns, 0.0);
  run_chunks(chunks, [&](int i) {
    const Chunk part = chunk_at(s.whole, chunks, i);
    double* const sums = parts + i * 2 * s.columns;
    add(part.begin * s.columns, part.end - part.begin, s.columns, sums, sums + s.columns);
    if (i == chunks - 1 && s.rest > 0) add(s.whole * s.columns, 1, s.rest, sums, sums + s.columns);
  });
  std::fill(a, a + s.C, 0.0);
  std::fill(b, b + s.C, 0.0);
  for (int i = 0; i < chunks; ++i)
    for (Index c = 0; c < s.columns; ++c) {
      a[c % s.C] += parts[i * 2 * s.columns + c];
      b[c % s.C] += parts[(i * 2 + 1) * s.columns + c];
    }
}
// Elements of `parts`.
Index part_count(const Sheet& s) { return chunk_count(s.whole, s.row_grain()) * 2 * s.columns; }

// body(first element, elements) over parts that begin with a wide row.
template <class Body>
void for_elements(const Sheet& s, Body&& body) {
  const Index wide_rows = s.whole + (s.rest > 0 ? 1 : 0);
  parallel_for(wide_rows, s.row_grain(), [&](Index begin, Index end) {
    const Index from = begin * s.columns;
    body(from, std::min(end * s.columns, s.count()) - from);
  });
}

// The constants of a normalisation, each repeated for the columns of a sheet, in `room` for
// 3 · columns elements.
template <class T>
ChannelConstants<T> constants_of(const Sheet& s, const Normalization& norm, T* room) {
  T *const mean = room, *const scale = room + s.columns, *const bias = scale + s.columns;
  for (Index c = 0; c < s.C; ++c) {
    const double deviation = batch_norm::inverse_deviation(norm.variance.as<T>()[c], norm.eps);
    mean[c] = norm.mean.as<T>()[c];
    scale[c] = static_cast<T>(norm.weight.as<T>()[c] * deviation);
    bias[c] = norm.bias.as<T>()[c];
  }
  for (T* const constant : {mean, scale, bias})
    for (Index c = s.C; c < s.columns; ++c) constant[c] = constant[c - s.C];
  return {mean, scale, bias, nullptr, nullptr};
}

}  // namespace

void CpuBackend::channel_statistics(const View& mean, const View& variance, const ConstView& x) {
  const Sheet s(x.shape, sum_width);
  with_float(x.dtype, [&]<class T>(Type<T>) {
    Scratch& scratch = Scratch::of_thread();
    scratch.reserve(Scratch::bytes_of<double>(part_count(s)) + 2 * Scratch::bytes_of<double>(s.C) +
                    Scratch::bytes_of<T>(s.columns));
    double* const parts = scratch.take<double>(part_count(s));
    double *const sum = scratch.take<double>(s.C), *const square = scratch.take<double>(s.C);
    T* const pivot = scratch.take<T>(s.columns);
    const T* const first = x.as<T>();
    for (Index c = 0; c < s.columns; ++c) pivot[c] = first[c % s.C];
    sum_rows(s, parts, sum, square,
             [&](Index begin, Index rows, Index columns, double* a, double* b) {
               loops<T>().norm->moments(rows, columns, a, b, first + begin, pivot);
             });
    const double n = static_cast<double>(s.rows);
    for (Index c = 0; c < s.C; ++c) {
      const auto of_channel = batch_norm::statistics_of(sum[c], square[c], n, pivot[c]);
      mean.as<T>()[c] = static_cast<T>(of_channel.mean);
      variance.as<T>()[c] = static_cast<T>(of_channel.variance);
    }
  });
}

void CpuBackend::batch_norm(const View& y, const ConstView& x, const Normalization& norm,
                            const ConstView* residual) {
  const Sheet s(x.shape, element_width);
  with_float(y.dtype, [&]<class T>(Type<T>) {
    Scratch& scratch = Scratch::of_thread();
    scratch.reserve(Scratch::bytes_of<T>(3 * s.columns));
    const auto k = constants_of(s, norm, scratch.take<T>(3 * s.columns));
    for_elements(s, [&](Index at, Index count) {
      loops<T>().norm->normalize(count, s.columns, y.as<T>() + at, x.as<T>() + at,
                                 residual == nullptr ? nullptr : residual->as<T>() + at, norm.relu,
                                 k);
    });
  });
}

void CpuBackend::batch_norm_backward(const NormalizationGradients& d, const ConstView& dy,
                                     const ConstView& x, const ConstView* y,
                                     const Normalization& norm, bool of_batch) {
  with_float(x.dtype, [&]<class T>(Type<T>) {
    const Sheet narrow(x.shape, sum_width), wide(x.shape, element_width);
    const Index C = wide.C;
    Scratch& scratch = Scratch::of_thread();
    scratch.reserve(Scratch::bytes_of<double>(part_count(narrow)) +
                    2 * Scratch::bytes_of<double>(C) + Scratch::bytes_of<T>(5 * wide.columns));
    double* const parts = scratch.take<double>(part_count(narrow));
    double *const sum = scratch.take<double>(C), *const product = scratch.take<double>(C);
    T* const room = scratch.take<T>(5 * wide.columns);
    ChannelConstants<T> k = constants_of(wide, norm, room);  // of `narrow` they are the beginning

    const T* gradient = dy.as<T>();
    bool masked = !norm.relu;
    const auto from = [](const ConstView* view, Index at) {
      return view == nullptr ? nullptr : view->as<T>() + at;
    };
    const bool through_statistics = of_batch && d.dx != nullptr;
    if (through_statistics || d.dweight != nullptr || d.dbias != nullptr ||
        d.dresidual != nullptr) {
      T* const kept = d.dresidual == nullptr ? nullptr : d.dresidual->as<T>();
      sum_rows(narrow, parts, sum, product,
               [&](Index at, Index rows, Index columns, double* a, double* b) {
                 loops<T>().norm->gradient_sums(
                     rows, columns, a, b, kept == nullptr ? nullptr : kept + at, gradient + at,
                     x.as<T>() + at, from(y, at), norm.relu, k);
               });
      if (kept != nullptr) {
        gradient = kept;
        masked = true;
      }
      for (Index c = 0; c < C; ++c) {
        const double deviation = batch_norm::inverse_deviation(norm.variance.as<T>()[c], norm.eps);
        if (d.dbias != nullptr) d.dbias->as<T>()[c] = static_cast<T>(sum[c]);
        if (d.dweight != nullptr) d.dweight->as<T>()[c] = static_cast<T>(product[c] * deviation);
      }
    }
    if (d.dx == nullptr) return;
    if (through_statistics) {
      T *const mean_dy = room + 3 * wide.columns, *const slope = mean_dy + wide.columns;
      for (Index c = 0; c < wide.columns; ++c) {
        const Index channel = c % C;
        const double n = static_cast<double>(wide.rows);
        const double deviation =
            batch_norm::inverse_deviation(norm.variance.as<T>()[channel], norm.eps);
        mean_dy[c] = static_cast<T>(sum[channel] / n);
        slope[c] = static_cast<T>(batch_norm::slope_of(product[channel], deviation, n));
      }
      k.mean_dy = mean_dy;
      k.slope = slope;
    }
    for_elements(wide, [&](Index at, Index count) {
      loops<T>().norm->gradient(count, wide.columns, d.dx->as<T>() + at, gradient + at,
                                x.as<T>() + at, masked ? nullptr : from(y, at), !masked, k);
    });
  });
}

}  // namespace understudy::cpu
