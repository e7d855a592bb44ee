// The products at the 36 points, and the memory that they fetch for what comes next.
#pragma once

#include "kernels/cpu/loops/conv_winograd.h"
#include "kernels/cpu/loops/micro_kernel.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

constexpr int points = 36;

// Fetches what is wanted soon, a little at each of `steps` steps.
class Prefetching {
 public:
  Prefetching(const PrefetchRange& soon, Index steps)
      : soon_(soon), lines_((soon.bytes + 63) / 64) {
    if (steps > 0) per_step_ = (soon.rows * lines_ + steps - 1) / steps;
  }
  [[gnu::always_inline]] void step() {
    for (Index i = 0; i < per_step_ && row_ < soon_.rows; ++i) {
      __builtin_prefetch(static_cast<const char*>(soon_.first) + row_ * soon_.step + line_ * 64);
      if (++line_ == lines_) {
        line_ = 0;
        ++row_;
      }
    }
  }

 private:
  const PrefetchRange soon_;
  const Index lines_;
  Index per_step_ = 0, row_ = 0, line_ = 0;
};

// c (rows, Vectors) = or += a · b, with a[i, d] at a + i · a_row + d · a_step.
template <class T>
struct ProductTile {
  const T* a;
  Index a_row, a_step;
  const T* b;
  Index b_step, depth;
  T* c;
  Index c_step;
  bool accumulate;
};

// 1 <= rows <= Rows.
template <class T, int Vectors, int Rows = tile_rows>
[[gnu::always_inline]] inline void product_tile(const ProductTile<T>& p, Index rows) {
  if constexpr (Rows > 1)
    if (rows < Rows) return product_tile<T, Vectors, Rows - 1>(p, rows);
  const T* a[Rows];
  for (int i = 0; i < Rows; ++i) a[i] = p.a + i * p.a_row;
  Sums<T, Rows, Vectors> sums;
  sums.clear();
  sums.add(p.depth, a, p.a_step, p.b, p.b_step);
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      T* const c = p.c + i * p.c_step + v * lanes<T>;
      store(c, p.accumulate ? load(c) + sums.at[i][v] : sums.at[i][v]);
    }
}

template <class T, int Vectors>
void tile_products_of(Index tiles, Index depth, AtPoints<T> m, AtPoints<T> v, AtPoints<T> u,
                      bool accumulate, const PrefetchRange (&soon)[2]) {
  const Index steps = points * ((tiles + tile_rows - 1) / tile_rows);
  Prefetching first(soon[0], steps), second(soon[1], steps);
  for (int point = 0; point < points; ++point)
    for (Index t = 0; t < tiles; t += tile_rows) {
      first.step();
      second.step();
      product_tile<T, Vectors>({.a = v.data + point * v.point_step + t * v.row_step,
                                .a_row = v.row_step,
                                .a_step = 1,
                                .b = u.data + point * u.point_step,
                                .b_step = tile_columns<T>,
                                .depth = depth,
                                .c = m.data + point * m.point_step + t * m.row_step,
                                .c_step = m.row_step,
                                .accumulate = accumulate},
                               tiles - t);
    }
}

template <class T>
void tile_products(Index tiles, Index depth, Index columns, AtPoints<T> m, AtPoints<T> v,
                   AtPoints<T> u, bool accumulate, const PrefetchRange (&soon)[2]) {
  static_assert(tile_vectors == 2);
  const auto loop = columns > lanes<T> ? tile_products_of<T, 2> : tile_products_of<T, 1>;
  loop(tiles, depth, m, v, u, accumulate, soon);
}

template <class T>
void filter_products(Index point_count, Index tiles, Index K, Index C, AtPoints<T> d, AtPoints<T> z,
                     AtPoints<T> v, bool accumulate, const PrefetchRange (&soon)[3]) {
  const auto up = [](Index n, Index step) { return (n + step - 1) / step; };
  const Index steps = point_count * up(C, tile_columns<T>) * up(K, tile_rows);
  Prefetching first(soon[0], steps), second(soon[1], steps), third(soon[2], steps);
  for (Index point = 0; point < point_count; ++point)
    for (Index c = 0; c < C; c += tile_columns<T>)
      for (Index k = 0; k < K; k += tile_rows) {
        first.step();
        second.step();
        third.step();
        const ProductTile<T> tile = {.a = z.data + point * z.point_step + k,
                                     .a_row = 1,
                                     .a_step = z.row_step,
                                     .b = v.data + point * v.point_step + c,
                                     .b_step = v.row_step,
                                     .depth = tiles,
                                     .c = d.data + point * d.point_step + k * d.row_step + c,
                                     .c_step = d.row_step,
                                     .accumulate = accumulate};
        if (C - c > lanes<T>)
          product_tile<T, 2>(tile, K - k);
        else
          product_tile<T, 1>(tile, K - k);
      }
}

}  // namespace
}  // namespace understudy::cpu::UNDERSTUDY_ISA
