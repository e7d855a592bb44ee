// The products behind sums of squared weight gradients (../conv_squares.cpp).
#include "kernels/cpu/loops/micro_kernel.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

constexpr int R = tile_rows;

template <class T>
void pack_rows(Index pixels, Index K, T* to, const T* dy) {
  for (Index first = 0; first < K; first += R, to += pixels * R) {
    const Index rows = K - first < R ? K - first : R;
    for (Index i = 0; i < pixels; ++i) {
      const T* const from = dy + i * K + first;
      T* const at = to + i * R;
      if (rows == R) {
        for (int r = 0; r < R; ++r) at[r] = from[r];
      } else {
        for (Index r = 0; r < R; ++r) at[r] = r < rows ? from[r] : T(0);
      }
    }
  }
}

template <class T>
void pack_columns(Index pixels, Index columns, T* to, const T* x, Index x_step) {
  constexpr Index L = lanes<T>;
  for (Index i = 0; i < pixels; ++i, to += tile_columns<T>) {
    for (Index c = 0; c < columns; c += L) {
      const Index n = columns - c < L ? columns - c : L;
      store_some(to + c, x == nullptr ? Vector<T>{} : load_some(x + i * x_step + c, n), n);
    }
  }
}

template <class T>
void add_row_pairs(Index pixels, T* to, const T* rows) {
  for (Index i = 0; i < pixels; ++i)
    for (Index j = 0; j <= i; ++j, to += R) {
      const T weight = i == j ? T(1) : T(2);
      for (int r = 0; r < R; ++r) to[r] += weight * rows[i * R + r] * rows[j * R + r];
    }
}

template <class T>
void column_pairs(Index pixels, T* to, const T* columns) {
  constexpr Index L = lanes<T>;
  for (Index i = 0; i < pixels; ++i)
    for (Index j = 0; j <= i; ++j, to += tile_columns<T>)
      for (int v = 0; v < tile_vectors; ++v)
        store(to + v * L, load(columns + i * tile_columns<T> + v * L) *
                              load(columns + j * tile_columns<T> + v * L));
}

template <class T, bool Squared>
void add_products(Index tiles, Index row_depth, Index depth, T* sums, const T* rows,
                  const Index* order, const T* columns) {
  constexpr Index L = lanes<T>;
  for (Index tile = 0; tile < tiles; ++tile) {
    Sums<T, R, tile_vectors> products;
    products.clear();
    for (Index d = 0; d < depth; ++d) {
      const T* const row = rows + order[d] * R;
      const T* a[R];
      for (int i = 0; i < R; ++i) a[i] = row + i;
      products.add(1, a, 0, columns + d * tile_columns<T>, 0);
    }
    rows += row_depth * R;
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < tile_vectors; ++v) {
        const Vector<T> product = products.at[i][v];
        store(sums + v * L, load(sums + v * L) + (Squared ? product * product : product));
      }
      sums += tile_columns<T>;
    }
  }
}

template <class T>
inline constexpr SquareLoops<T> table = {
    tile_rows,        tile_columns<T>, pack_rows<T>,          pack_columns<T>,
    add_row_pairs<T>, column_pairs<T>, add_products<T, true>, add_products<T, false>};

}  // namespace

const SquareLoops<float> squares_f32 = table<float>;
const SquareLoops<double> squares_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
