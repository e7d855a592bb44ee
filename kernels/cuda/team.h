// Values of several threads of a block joined into one, in an order that depends on nothing but how
// many they are. Device code.
#pragma once

#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/elementwise.h"

namespace understudy::cuda {

// ---- what is joined ----

struct Sum {
  UNDERSTUDY_HD static double start() { return 0; }
  UNDERSTUDY_HD static double join(double a, double b) { return a + b; }
};
// NaN is the largest.
template <class T>
struct Max {
  UNDERSTUDY_HD static T start() { return -static_cast<T>(INFINITY); }
  UNDERSTUDY_HD static T join(T a, T b) { return BinaryFormula<Binary::maximum>::value(a, b); }
};

// ---- teams in a row ----

// The smallest power of two that is n or more.
inline int power_of_two(std::int64_t n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

// A type of one's own may have another.
template <class Value>
__device__ inline Value swap_lanes(Value value, int lanes) {
  return __shfl_xor_sync(0xffffffffu, value, lanes);
}

// Teams are `size` neighbouring threads, a power of two up to block_threads. Every thread of the
// block calls this and gets its team's result.
template <class Join, class Value>
__device__ inline Value join_team(Value value, int size) {
  for (int lanes = (size < warp_size ? size : warp_size) / 2; lanes > 0; lanes /= 2)
    value = Join::join(value, swap_lanes(value, lanes));
  if (size <= warp_size) return value;
  __shared__ Value of_warp[block_threads / warp_size];
  const int warp = static_cast<int>(threadIdx.x) / warp_size, warps = size / warp_size;
  __syncthreads();  // an earlier call's values have been read
  if (threadIdx.x % warp_size == 0) of_warp[warp] = value;
  __syncthreads();
  const int first = warp / warps * warps;
  value = of_warp[first];
  for (int i = 1; i < warps; ++i) value = Join::join(value, of_warp[first + i]);
  return value;
}

// ---- teams in a rectangle ----

// Teams are `across` · `down` neighbouring threads, both powers of two, `across` of them to a row.
// Joins each of the n values over a team's column of threads. Every thread of the block calls this;
// the results are in the team's first row.
template <class Join, int n, class Value>
__device__ inline void join_columns(Value (&values)[n], int across, int down) {
  __shared__ Value room[n][block_threads];
  const int thread = static_cast<int>(threadIdx.x), y = thread / across % down;
  __syncthreads();  // an earlier call's values have been read
#pragma unroll
  for (int i = 0; i < n; ++i) room[i][thread] = values[i];
  for (int half = down / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y >= half) continue;
#pragma unroll
    for (int i = 0; i < n; ++i)
      room[i][thread] = Join::join(room[i][thread], room[i][thread + half * across]);
  }
#pragma unroll
  for (int i = 0; i < n; ++i) values[i] = room[i][thread];
}

}  // namespace understudy::cuda
