// The product that every convolution ends in: a few rows times a panel of a few vectors, summed in
// registers. Per step of the reduction it loads `Vectors` vectors and `Rows` single elements for
// Rows · Vectors multiply-adds; the sums must fill the registers to hide the multiply-adds' latency
// (4 or 5 cycles, two a cycle: at least 8 to 10 sums) and leave room for the operands.
//
// Sources that include this are compiled with -ffp-contract=fast: a · b + c is one instruction
// where there is one, as in BLAS.
#pragma once

#include "kernels/cpu/loops/epilogue.h"
#include "kernels/cpu/loops/vector.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

#if defined(__AVX512F__)
// 16 sums of 32 registers, for the row pointers must stay in registers too.
inline constexpr int tile_rows = 8;
#else
inline constexpr int tile_rows = 6;  // 12 sums of 16 registers
#endif
inline constexpr int tile_vectors = 2;
template <class T>
inline constexpr Index tile_columns = lanes<T>* tile_vectors;

template <class T, int Rows, int Vectors>
struct Sums {
  Vector<T> at[Rows][Vectors];

  [[gnu::always_inline]] void clear() {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) at[i][v] = Vector<T>{};
  }

  // at[i][v] += Σ over d < depth of a[i][d · a_step] · panel[d · b_step + v · lanes ...]
  [[gnu::always_inline]] void add(Index depth, const T* const (&a)[Rows], Index a_step,
                                  const T* panel, Index b_step) {
    for (Index d = 0; d < depth; ++d) {
      Vector<T> b[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) b[v] = load(panel + d * b_step + v * lanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const T x = a[i][d * a_step];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) at[i][v] += x * b[v];
      }
    }
  }
};

// The epilogue of one vector of channels, the first n of it. `channel` counts from where scale and
// bias begin, `offset` from where the residual does.
template <class T>
struct Finish {
  const SumEpilogue<T>& epilogue;
  Vector<T> scale, bias;
  Index n;

  [[gnu::always_inline]] Finish(const SumEpilogue<T>& e, Index channel, Index count)
      : epilogue(e), scale{}, bias{}, n(count) {
    if (e.scale != nullptr) scale = load_some(e.scale + channel, n);
    if (e.bias != nullptr) bias = load_some(e.bias + channel, n);
  }
  [[gnu::always_inline]] Vector<T> operator()(Vector<T> y, Index offset) const {
    if (epilogue.scale != nullptr) y = y * scale;
    if (epilogue.bias != nullptr) y = y + bias;
    if (epilogue.residual != nullptr) y = y + load_some(epilogue.residual + offset, n);
    if (epilogue.relu) y = y < T(0) ? Vector<T>{} : y;  // NaN passes, as in elementwise.h
    return y;
  }
};

}  // namespace
}  // namespace understudy::cpu::UNDERSTUDY_ISA
