// How blocks lie over matrices whose columns are neighbours in memory: each thread has some columns
// side by side and goes down the rows, so that a warp reads whole lines.
#pragma once

#include "kernels/cuda/quad.h"
#include "kernels/cuda/team.h"

namespace understudy::cuda {

struct ColumnTeam {
  int width;         // columns of a thread
  int across, down;  // threads: across · down is at most block_threads; powers of two

  // A function of sizes alone, and so is the order in which a column's elements are met.
  ColumnTeam(std::int64_t columns, std::int64_t rows)
      : width(columns % quad_size == 0 ? quad_size : 1) {
    across = power_of_two((columns + width - 1) / width);
    if (across > warp_size) across = warp_size;
    down = block_threads / across;
    const int wanted = power_of_two((rows + rows_each - 1) / rows_each);
    if (down > wanted) down = wanted;
  }

  static constexpr int rows_each = 4;  // for each thread at least, where there are so many

  // Columns that a team has.
  int columns() const { return width * across; }
  std::int64_t tiles(std::int64_t all) const { return (all + columns() - 1) / columns(); }
};

// Some neighbours in memory, at once where they are aligned.
template <int width, bool quads, class T>
__device__ inline void load(T (&values)[width], const T* at) {
  if constexpr (quads) {
    const Quad<T> quad = *reinterpret_cast<const Quad<T>*>(at);
#pragma unroll
    for (int i = 0; i < width; ++i) values[i] = quad.v[i];
  } else {
#pragma unroll
    for (int i = 0; i < width; ++i) values[i] = at[i];
  }
}
template <int width, bool quads, class T>
__device__ inline void store(T* at, const T (&values)[width]) {
  if constexpr (quads) {
    Quad<T> quad;
#pragma unroll
    for (int i = 0; i < width; ++i) quad.v[i] = values[i];
    *reinterpret_cast<Quad<T>*>(at) = quad;
  } else {
#pragma unroll
    for (int i = 0; i < width; ++i) at[i] = values[i];
  }
}

// body.operator()<width, quads>() for threads of `width` columns, whose memory is aligned or not.
template <class Body>
void with_columns(int width, bool aligned, Body&& body) {
  if (width == 1)
    body.template operator()<1, false>();
  else if (aligned)
    body.template operator()<quad_size, true>();
  else
    body.template operator()<quad_size, false>();
}

}  // namespace understudy::cuda
