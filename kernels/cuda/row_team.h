// Rows of (rows, C) and the teams of threads that have them. Device code.
#pragma once

#include <algorithm>

#include "kernels/cuda/team.h"
#include "kernels/row_shape.h"

namespace understudy::cuda {

// How many threads have a row, and how many of its values each keeps in registers; 0 for rows that
// are read again instead.
struct RowTeam {
  int size, values;

  explicit RowTeam(std::int64_t C) {
    const std::int64_t warp = warp_size, block = block_threads;
    if (C <= 16 * warp) {
      size = std::min(power_of_two(C), warp_size);
      values = C <= warp ? 1 : C <= 4 * warp ? 4 : 16;
    } else {
      size = block_threads;
      values = C <= 4 * block ? 4 : C <= 16 * block ? 16 : 0;
    }
  }
};

// One thread's values of a row: those at `lane`, lane + lanes, ...
template <class T, int values>
struct Share {
  const T* row;
  std::int64_t C;
  int lane, lanes;
  T kept[values > 0 ? values : 1];

  // `row` is null for a team that has none.
  __device__ Share(const T* from, std::int64_t size, int team)
      : row(from), C(size), lane(static_cast<int>(threadIdx.x) % team), lanes(team) {
    if (row == nullptr) C = 0;
#pragma unroll
    for (int i = 0; i < values; ++i) {
      const std::int64_t c = lane + static_cast<std::int64_t>(i) * lanes;
      if (c < C) kept[i] = row[c];
    }
  }

  // body(c, value)
  template <class Body>
  __device__ void each(Body&& body) const {
    if constexpr (values == 0) {
      for (std::int64_t c = lane; c < C; c += lanes) body(c, row[c]);
    } else {
#pragma unroll
      for (int i = 0; i < values; ++i) {
        const std::int64_t c = lane + static_cast<std::int64_t>(i) * lanes;
        if (c < C) body(c, kept[i]);
      }
    }
  }
  // body(c, value, other's value)
  template <class Body>
  __device__ void with(const Share& other, Body&& body) const {
    if constexpr (values == 0) {
      for (std::int64_t c = lane; c < C; c += lanes) body(c, row[c], other.row[c]);
    } else {
#pragma unroll
      for (int i = 0; i < values; ++i) {
        const std::int64_t c = lane + static_cast<std::int64_t>(i) * lanes;
        if (c < C) body(c, kept[i], other.kept[i]);
      }
    }
  }
  // Each value becomes how(value), in registers or in `room`, which may be where they are.
  template <class Change>
  __device__ void change(T* room, Change&& how) {
    if constexpr (values == 0) {
      for (std::int64_t c = lane; c < C; c += lanes) room[c] = how(row[c]);
      row = room;
    } else {
#pragma unroll
      for (int i = 0; i < values; ++i) {
        const std::int64_t c = lane + static_cast<std::int64_t>(i) * lanes;
        if (c < C) kept[i] = how(kept[i]);
      }
    }
  }

  // The largest that is not NaN, in every thread of the team; -inf where there is none.
  __device__ T largest() const {
    T most = Max<T>::start();
    each([&](std::int64_t, T x) { most = most < x ? x : most; });
    return join_team<Max<T>>(most, lanes);
  }
};

// This thread's row, or -1; the same for a whole team.
__device__ inline std::int64_t row_here(std::int64_t rows, int team) {
  const std::int64_t row = blockIdx.x * static_cast<std::int64_t>(block_threads / team) +
                           static_cast<std::int64_t>(threadIdx.x) / team;
  return row < rows ? row : -1;
}
template <class T>
__device__ T* row_of(T* x, std::int64_t row, std::int64_t C) {
  return row < 0 ? nullptr : x + row * C;
}

// ---- launches ----

inline Grid grid_for_rows(const RowShape& s, int team) {
  const std::int64_t each = block_threads / team;
  return {dim3(static_cast<unsigned>((s.rows + each - 1) / each)), dim3(block_threads)};
}

// body.operator()<values>(grid, threads to a row)
template <class Body>
void for_rows(const RowShape& s, Body&& body) {
  if (s.rows * s.C == 0) return;
  const RowTeam team(s.C);
  const Grid grid = grid_for_rows(s, team.size);
  if (team.values == 1) return body.template operator()<1>(grid, team.size);
  if (team.values == 4) return body.template operator()<4>(grid, team.size);
  if (team.values == 16) return body.template operator()<16>(grid, team.size);
  body.template operator()<0>(grid, team.size);
}

inline std::int64_t step_of(const Dims& strides) { return strides.rank() == 0 ? 0 : strides[0]; }

}  // namespace understudy::cuda
