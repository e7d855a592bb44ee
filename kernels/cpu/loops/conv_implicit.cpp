// Convolution as a product over windows that are read where they lie: no im2col is written. The
// rows of the product are pixels, given by pointers, so that padding is a pointer to zeros and
// stride and dilation cost nothing (Dukhan 2019, "The Indirect Convolution Algorithm").
#include "kernels/cpu/loops/micro_kernel.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

constexpr int R = tile_rows;

// One tile of pixels times `Vectors` vectors of filters.
template <class T, int Vectors>
void product_tile(const WindowProduct<T>& p, const T* const* part, const Index* offset,
                  Index pixels) {
  Sums<T, R, Vectors> sums;
  sums.clear();
  const T* panel = p.panel;
  for (Index e = 0; e < p.parts; ++e, part += R, panel += p.depth * tile_columns<T>) {
    const T* a[R];
    for (int i = 0; i < R; ++i) a[i] = part[i];
    sums.add(p.depth, a, 1, panel, tile_columns<T>);
  }
  constexpr Index L = lanes<T>;
  for (int v = 0; v < Vectors; ++v) {
    const Index left = p.columns - v * L, n = left < L ? left : L;
    const Finish<T> finish(p.epilogue, v * L, n);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      if (i >= pixels) continue;
      const Index at = offset[i] + v * L;
      store_some(p.y + at, finish(sums.at[i][v], at), n);
    }
  }
}

template <class T>
void window_product(const WindowProduct<T>& p) {
  for (Index at = 0; at < p.pixels; at += R) {
    const Index pixels = p.pixels - at < R ? p.pixels - at : R;
    if (p.columns > lanes<T>)
      product_tile<T, 2>(p, p.part + at * p.parts, p.offset + at, pixels);
    else
      product_tile<T, 1>(p, p.part + at * p.parts, p.offset + at, pixels);
  }
}

// sums.add with the last vector cut to its first n lanes.
template <class T, int Vectors>
[[gnu::always_inline]] inline void add_run(Sums<T, R, Vectors>& sums, Index length,
                                           const T* const (&a)[R], Index a_step, const T* x,
                                           Index x_step, Index n) {
  for (Index t = 0; t < length; ++t) {
    Vector<T> b[Vectors];
    if constexpr (Vectors == 2) b[0] = load(x + t * x_step);
    b[Vectors - 1] = load_some(x + t * x_step + (Vectors - 1) * lanes<T>, n);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const T dy = a[i][t * a_step];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sums.at[i][v] += dy * b[v];
    }
  }
}

template <class T, int Vectors>
void gradient_tile(const WindowGradient<T>& g, Index column, Index columns) {
  constexpr Index L = lanes<T>;
  const Index last = columns - (Vectors - 1) * L;
  Sums<T, R, Vectors> sums;
  sums.clear();
  for (Index e = 0; e < g.run_count; ++e) {
    const WindowRun<T> run = g.runs[e];
    const T* a[R];
    for (int i = 0; i < R; ++i) a[i] = run.dy + g.first_filter + (i < g.rows ? i : 0);
    if (last == L)
      sums.add(run.length, a, g.dy_step, run.x + column, g.x_step);
    else
      add_run(sums, run.length, a, g.dy_step, run.x + column, g.x_step, last);
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    if (i >= g.rows) continue;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      T* const dw = g.dw + i * g.dw_stride + column + v * L;
      const Index n = v == Vectors - 1 ? last : L;
      store_some(dw, g.accumulate ? load_some(dw, n) + sums.at[i][v] : sums.at[i][v], n);
    }
  }
}

template <class T>
void window_gradient(const WindowGradient<T>& g) {
  constexpr Index wide = tile_columns<T>;
  for (Index column = 0; column < g.columns; column += wide) {
    const Index columns = g.columns - column < wide ? g.columns - column : wide;
    if (columns > lanes<T>)
      gradient_tile<T, 2>(g, column, columns);
    else
      gradient_tile<T, 1>(g, column, columns);
  }
}

template <class T>
inline constexpr ConvLoops<T> table = {tile_rows, tile_columns<T>, window_product<T>,
                                       window_gradient<T>};

}  // namespace

const ConvLoops<float> conv_f32 = table<float>;
const ConvLoops<double> conv_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
