// How Winograd's convolutions lay their matrices out in working memory, and cut their work.
#pragma once

#include <algorithm>

#include "kernels/cpu/conv_shape.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/cpu/scratch.h"
#include "kernels/parallel.h"

namespace understudy::cpu::winograd {

inline constexpr Index points = 36;

constexpr Index round_up(Index a, Index b) { return divide_up(a, b) * b; }

template <class T>
inline constexpr Index line = 64 / static_cast<Index>(sizeof(T));  // elements of a cache line

// 36 matrices (rows, columns), the rows padded to whole panels. A transform writes one row of each
// at the same time, and sizes are often powers of two: an odd number of lines from matrix to matrix
// keeps the 36 rows in different sets of the cache, of which each has 8 or 12 places. `gap`
// elements after each row do the same for products that go down a column.
template <class T>
struct Block {
  Index point_step, row_step;

  Block(Index rows, Index columns, Index gap = 0)
      : point_step(0), row_step(round_up(columns, loops<T>().winograd->panel_columns) + gap) {
    const Index lines = divide_up(rows * row_step, line<T>);
    point_step = (lines % 2 == 0 ? lines + 1 : lines) * line<T>;
  }
  Index size() const { return points * point_step; }
  AtPoints<T> at(T* data) const { return {data, point_step, row_step}; }
};

// Pieces of the calling thread's scratch memory, all sizes named before the first is taken.
template <class T>
class Pieces {
 public:
  template <class... Sizes>
  explicit Pieces(Sizes... sizes) : scratch_(Scratch::of_thread()) {
    scratch_.reserve((Scratch::bytes_of<T>(sizes) + ...));
  }
  T* take(Index size) { return scratch_.take<T>(size); }
  const T* take_zeros(Index size) {
    T* const zeros = take(size);
    std::fill_n(zeros, size, T(0));
    return zeros;
  }

 private:
  Scratch& scratch_;
};

// The tiles of images (N, H, W, C) that cover rows × columns results.
inline TileGrid grid_over(Index H, Index W, Index C, Index rows, Index columns, HeightWidth padding,
                          HeightWidth dilation) {
  return {H,
          W,
          C,
          divide_up(divide_up(rows, dilation.height), 4),
          divide_up(divide_up(columns, dilation.width), 4),
          padding.height,
          padding.width,
          dilation.height,
          dilation.width};
}
// Of one image.
inline Index tiles_of(const TileGrid& grid) {
  return grid.dilation_h * grid.dilation_w * grid.rows * grid.columns;
}

// The memory of images that tiles [begin, end) lie in, nearly: tiles follow images row by row.
template <class T>
PrefetchRange tiles_soon(const T* images, Index N, const TileGrid& grid, Chunk tiles) {
  const Index row_bytes = grid.W * grid.C * static_cast<Index>(sizeof(T));
  const auto at = [&](Index tile) { return N * grid.H * tile / (N * tiles_of(grid)) * row_bytes; };
  if (tiles.begin >= tiles.end) return {};
  return {reinterpret_cast<const char*>(images) + at(tiles.begin), 1,
          at(tiles.end) - at(tiles.begin), 0};
}

// Part i of n of a chunk.
inline Chunk share(Chunk chunk, Index i, Index n) {
  const Index size = std::max(Index{0}, chunk.end - chunk.begin);
  return {chunk.begin + size * i / n, chunk.begin + size * (i + 1) / n};
}

// body(begin, count) in steps of at most `size` over [begin, end), none much smaller than the
// others; multiples of `multiple` where there is room, but for the last.
template <class Body>
void for_blocks(Index begin, Index end, Index size, Index multiple, Body&& body) {
  if (begin >= end) return;
  const Index blocks = divide_up(end - begin, size);
  const Index step = std::min(size, round_up(divide_up(end - begin, blocks), multiple));
  for (; begin < end; begin += step) body(begin, std::min(step, end - begin));
}

}  // namespace understudy::cpu::winograd
