// Sums and maxima over runs and over rows. Sums of floats are made in double: as fast as memory
// allows, and as exact as the result can hold.
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

constexpr Index L = 32;  // lanes: enough to hide the latency of an addition

// The larger; NaN when either is.
template <class T>
[[gnu::always_inline]] inline T larger(T a, T b) {
  const T most = a < b ? b : a;
  return b != b ? b : most;
}

template <class T>
double sum(Index n, const T* x, Index stride) {
  if (stride != 1) {
    double total = 0;
    for (Index i = 0; i < n; ++i) total += static_cast<double>(x[i * stride]);
    return total;
  }
  double lane[L] = {};
  Index i = 0;
  for (; i + L <= n; i += L)
    for (Index j = 0; j < L; ++j) lane[j] += static_cast<double>(x[i + j]);
  for (Index j = 0; i < n; ++i, ++j) lane[j] += static_cast<double>(x[i]);
  for (Index half = L / 2; half > 0; half /= 2)
    for (Index j = 0; j < half; ++j) lane[j] += lane[j + half];
  return lane[0];
}

template <class T>
T max(Index n, const T* x, Index stride) {
  T most = -T(__builtin_inf());
  if (stride != 1) {
    for (Index i = 0; i < n; ++i) most = larger(most, x[i * stride]);
    return most;
  }
  T lane[L];
  for (Index j = 0; j < L; ++j) lane[j] = most;
  Index i = 0;
  for (; i + L <= n; i += L)
    for (Index j = 0; j < L; ++j) lane[j] = larger(lane[j], x[i + j]);
  for (Index j = 0; i < n; ++i, ++j) lane[j] = larger(lane[j], x[i]);
  for (Index j = 0; j < L; ++j) most = larger(most, lane[j]);
  return most;
}

// Columns in tiles of L that stay in registers, rows in blocks that stay in the cache while the
// next tiles read the rest of their lines.
constexpr Index rows_per_block = 64;

template <class T>
void add_rows(Index rows, Index columns, double* total, const T* x, Index row_stride) {
  for (; rows > 0; rows -= rows_per_block, x += rows_per_block * row_stride) {
    const Index R = rows < rows_per_block ? rows : rows_per_block;
    Index c = 0;
    for (; c + L <= columns; c += L) {
      double lane[L];
      for (Index j = 0; j < L; ++j) lane[j] = total[c + j];
      for (Index r = 0; r < R; ++r)
        for (Index j = 0; j < L; ++j) lane[j] += static_cast<double>(x[r * row_stride + c + j]);
      for (Index j = 0; j < L; ++j) total[c + j] = lane[j];
    }
    for (Index r = 0; r < R; ++r)
#pragma omp simd
      for (Index j = c; j < columns; ++j) total[j] += static_cast<double>(x[r * row_stride + j]);
  }
}

template <class T>
void max_rows(Index rows, Index columns, T* most, const T* x, Index row_stride) {
  for (Index r = 0; r < rows; ++r, x += row_stride)
#pragma omp simd
    for (Index c = 0; c < columns; ++c) most[c] = larger(most[c], x[c]);
}

template <class T>
inline constexpr ReduceLoops<T> table = {sum<T>, max<T>, add_rows<T>, max_rows<T>};

}  // namespace

const ReduceLoops<float> reduce_f32 = table<float>;
const ReduceLoops<double> reduce_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
