// The product in registers that every convolution of ours ends in. A block of 256 threads makes a
// tile of 64·Q rows by 64·Q columns, 16 steps of the sum at a time: both factors' pieces lie in
// shared memory, two of each, so that one is filled while the other is used; thread (ty, tx) of
// 16 × 16 keeps Q × Q squares of 4 × 4 sums.
//
// Bound by arithmetic for Q = 2: of one step, 64 multiply-adds take 4 reads of 16 bytes a thread.
#pragma once

#include "kernels/cuda/launch.h"
#include "kernels/cuda/quad.h"

namespace understudy::cuda {

inline constexpr int tile_unit = 64;   // rows, or columns, for each Q
inline constexpr int tile_depth = 16;  // steps of the sum
inline constexpr int tile_quads = 16;  // quads in a row of 64

#if defined(__CUDACC__) || defined(UNDERSTUDY_EMULATED_CUDA)

// One instruction where there is one, whatever --fmad says of the rest: convolutions are held to a
// tolerance, not to the CPU's bits.
template <class T>
__device__ T multiply_add(T a, T b, T c) {
#ifdef __CUDACC__
  return fma(a, b, c);
#else
  return a * b + c;
#endif
}

// [step][row or column]. The pad spreads the transposed stores of a warp over more banks.
template <class T, int Q>
struct TilePiece {
  Quad<T> at[tile_depth][Q * tile_quads + 1];
};

template <class T, int Q>
struct TileSums {
  T sum[4 * Q][4 * Q];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < 4 * Q; ++i)
#pragma unroll
      for (int j = 0; j < 4 * Q; ++j) sum[i][j] = T(0);
  }
  __device__ void add_products(const TilePiece<T, Q>& a, const TilePiece<T, Q>& b, int ty, int tx) {
#pragma unroll
    for (int step = 0; step < tile_depth; ++step) {
      Quad<T> left[Q], right[Q];
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        left[q] = a.at[step][q * tile_quads + ty];
        right[q] = b.at[step][q * tile_quads + tx];
      }
#pragma unroll
      for (int i = 0; i < 4 * Q; ++i)
#pragma unroll
        for (int j = 0; j < 4 * Q; ++j)
          sum[i][j] = multiply_add(left[i / 4].v[i % 4], right[j / 4].v[j % 4], sum[i][j]);
    }
  }
  // Row i of this thread is row `row(i)` of the tile, and so are columns.
  __device__ static int row(int i, int t) { return i / 4 * tile_unit + 4 * t + i % 4; }
};

// How a thread fills a piece. Depth first: quads along the sum, row `line(q)`, from step `along()`.
struct DepthFirst {
  static __device__ int line(int q) {
    return q * tile_unit + static_cast<int>(threadIdx.x) / (tile_depth / 4);
  }
  static __device__ int along() { return static_cast<int>(threadIdx.x) % (tile_depth / 4) * 4; }
  template <class T, int Q>
  static __device__ void store(TilePiece<T, Q>& piece, const Quad<T> (&values)[Q]) {
#pragma unroll
    for (int q = 0; q < Q; ++q)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        piece.at[along() + i][line(q) / 4].v[line(q) % 4] = values[q].v[i];
  }
};
// Line first: quads along the rows (or columns), from `line(q)`, at step `along()`.
struct LineFirst {
  static __device__ int line(int q) {
    return q * tile_unit + static_cast<int>(threadIdx.x) % tile_quads * 4;
  }
  static __device__ int along() { return static_cast<int>(threadIdx.x) / tile_quads; }
  template <class T, int Q>
  static __device__ void store(TilePiece<T, Q>& piece, const Quad<T> (&values)[Q]) {
#pragma unroll
    for (int q = 0; q < Q; ++q) piece.at[along()][line(q) / 4] = values[q];
  }
};

#endif

}  // namespace understudy::cuda
