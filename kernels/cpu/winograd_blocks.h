// How Winograd's convolutions lay their matrices out in working memory.
#pragma once

#include <algorithm>

#include "kernels/cpu/conv_shape.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/cpu/scratch.h"

namespace understudy::cpu::winograd {

inline constexpr Index points = 36;

constexpr Index divide_up(Index a, Index b) { return (a + b - 1) / b; }
constexpr Index round_up(Index a, Index b) { return divide_up(a, b) * b; }

template <class T>
inline constexpr Index line = 64 / static_cast<Index>(sizeof(T));  // elements of a cache line

// 36 matrices (rows, columns), the rows padded to whole panels. A transform writes one row of each at the same time, and sizes are
// often powers of two: a line between the matrices keeps the 36 rows in different sets of the cache,
// of which there are no more than 8 or 12 places each. `gap` does it for the rows of one matrix.
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

inline TileGrid grid_over(Index H, Index W, Index C, Index rows, Index columns,
                          HeightWidth padding) {
  return {H, W, C, divide_up(rows, 4), divide_up(columns, 4), padding.height, padding.width};
}

// Steps of at most `size` over [begin, end), none much smaller than the others; multiples of
// `multiple` where there is room, but for the last.
template <class Body>
void for_blocks(Index begin, Index end, Index size, Index multiple, Body&& body) {
  if (begin >= end) return;
  const Index blocks = divide_up(end - begin, size);
  const Index step = std::min(size, round_up(divide_up(end - begin, blocks), multiple));
  for (; begin < end; begin += step) body(begin, std::min(step, end - begin));
}

}  // namespace understudy::cpu::winograd
