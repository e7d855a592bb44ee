// Pointwise formulas over one run of elements. `#pragma omp simd` (compiled with -fopenmp-simd, no
// runtime) tells the compiler that arrays overlap exactly or not at all.
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

template <class T, Unary op>
void unary(Index n, T* y, Index y_stride, const T* x, Index x_stride, T p) {
  using F = UnaryFormula<op>;
  if (y_stride == 1 && x_stride == 1) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) y[i] = F::value(x[i], p);
  } else if (x_stride == 0) {
    const T value = F::value(*x, p);
    for (Index i = 0; i < n; ++i) y[i * y_stride] = value;
  } else {
    for (Index i = 0; i < n; ++i) y[i * y_stride] = F::value(x[i * x_stride], p);
  }
}

template <class T, Unary op>
void unary_backward(Index n, T* dx, Index dx_stride, const T* dy, Index dy_stride,
                    [[maybe_unused]] const T* s, [[maybe_unused]] Index s_stride, T p) {
  const auto slope = [&](Index i) __attribute__((always_inline)) {
    if constexpr (saves(op) == Saves::nothing)
      return unary_slope<op>(T(0), p);
    else
      return unary_slope<op>(s[i], p);
  };
  if (dx_stride == 1 && dy_stride == 1 && (s_stride == 1 || saves(op) == Saves::nothing)) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) dx[i] = dy[i] * slope(i);
  } else if (dx_stride == 1 && dy_stride == 0 && (s_stride == 1 || saves(op) == Saves::nothing)) {
    const T same = *dy;
#pragma omp simd
    for (Index i = 0; i < n; ++i) dx[i] = same * slope(i);
  } else {
    for (Index i = 0; i < n; ++i) dx[i * dx_stride] = dy[i * dy_stride] * slope(i * s_stride);
  }
}

template <class T, Binary op>
void binary(Index n, T* y, Index y_stride, const T* a, Index a_stride, const T* b, Index b_stride) {
  using F = BinaryFormula<op>;
  if (y_stride == 1 && a_stride == 1 && b_stride == 1) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) y[i] = F::value(a[i], b[i]);
  } else if (y_stride == 1 && a_stride == 1 && b_stride == 0) {
    const T same = *b;
#pragma omp simd
    for (Index i = 0; i < n; ++i) y[i] = F::value(a[i], same);
  } else if (y_stride == 1 && a_stride == 0 && b_stride == 1) {
    const T same = *a;
#pragma omp simd
    for (Index i = 0; i < n; ++i) y[i] = F::value(same, b[i]);
  } else {
    for (Index i = 0; i < n; ++i) y[i * y_stride] = F::value(a[i * a_stride], b[i * b_stride]);
  }
}

template <class T, Binary op, int side>
void binary_backward(Index n, T* d, Index d_stride, const T* dy, Index dy_stride, const T* a,
                     Index a_stride, const T* b, Index b_stride) {
  if (d_stride == 1 && dy_stride == 1 && a_stride == 1 && b_stride == 1) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) d[i] = dy[i] * binary_slope<op, side>(a[i], b[i]);
  } else if (d_stride == 1 && dy_stride == 1 && a_stride == 1 && b_stride == 0) {
    const T same = *b;
#pragma omp simd
    for (Index i = 0; i < n; ++i) d[i] = dy[i] * binary_slope<op, side>(a[i], same);
  } else if (d_stride == 1 && dy_stride == 1 && a_stride == 0 && b_stride == 1) {
    const T same = *a;
#pragma omp simd
    for (Index i = 0; i < n; ++i) d[i] = dy[i] * binary_slope<op, side>(same, b[i]);
  } else {
    for (Index i = 0; i < n; ++i)
      d[i * d_stride] =
          dy[i * dy_stride] * binary_slope<op, side>(a[i * a_stride], b[i * b_stride]);
  }
}

template <class T>
void where(Index n, T* y, Index y_stride, const T* c, Index c_stride, const T* a, Index a_stride,
           const T* b, Index b_stride) {
  if (y_stride == 1 && c_stride == 1 && a_stride == 1 && b_stride == 1) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) {
      const T yes = a[i], no = b[i];
      y[i] = c[i] != T(0) ? yes : no;
    }
  } else {
    for (Index i = 0; i < n; ++i)
      y[i * y_stride] = c[i * c_stride] != T(0) ? a[i * a_stride] : b[i * b_stride];
  }
}

template <class T>
void bias_relu(Index rows, Index columns, T* y, Index row_stride, const T* bias, bool relu) {
  using Relu = UnaryFormula<Unary::relu>;
  for (Index r = 0; r < rows; ++r) {
    T* const row = y + r * row_stride;
    if (bias != nullptr && relu) {
#pragma omp simd
      for (Index c = 0; c < columns; ++c) row[c] = Relu::value(row[c] + bias[c], T(0));
    } else if (bias != nullptr) {
#pragma omp simd
      for (Index c = 0; c < columns; ++c) row[c] = row[c] + bias[c];
    } else if (relu) {
#pragma omp simd
      for (Index c = 0; c < columns; ++c) row[c] = Relu::value(row[c], T(0));
    }
  }
}

// clang-format off
#define UNDERSTUDY_LOOP(name, ...) unary<T, Unary::name>,
#define UNDERSTUDY_BACKWARD(name, ...) unary_backward<T, Unary::name>,
#define UNDERSTUDY_BINARY_LOOP(name, ...) binary<T, Binary::name>,
#define UNDERSTUDY_SIDE0(name, ...) binary_backward<T, Binary::name, 0>,
#define UNDERSTUDY_SIDE1(name, ...) binary_backward<T, Binary::name, 1>,

template <class T>
inline constexpr PointwiseLoops<T> table = {
    {UNDERSTUDY_UNARY(UNDERSTUDY_LOOP)},
    {UNDERSTUDY_UNARY(UNDERSTUDY_BACKWARD)},
    {UNDERSTUDY_BINARY(UNDERSTUDY_BINARY_LOOP) UNDERSTUDY_COMPARE(UNDERSTUDY_BINARY_LOOP)},
    {{UNDERSTUDY_BINARY(UNDERSTUDY_SIDE0)}, {UNDERSTUDY_BINARY(UNDERSTUDY_SIDE1)}},
    where<T>,
    bias_relu<T>};
// clang-format on

}  // namespace

const PointwiseLoops<float> pointwise_f32 = table<float>;
const PointwiseLoops<double> pointwise_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
