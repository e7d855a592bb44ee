// CUDA C++ for a C++ compiler: the words of the language, launches, barriers and shuffles. A kernel
// is a function, and each of its threads is a fiber (../grid.cpp).
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#include "cuda_runtime_api.h"
#include "emulated.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline thread_local uint3 threadIdx{}, blockIdx{};
inline thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

#define EMULATED_VECTORS(T, base)                                      \
  struct alignas(2 * sizeof(base)) T##2 {                              \
    base x, y;                                                         \
  };                                                                   \
  struct alignas(4 * sizeof(base) > 16 ? 16 : 4 * sizeof(base)) T##4 { \
    base x, y, z, w;                                                   \
  };                                                                   \
  inline T##2 make_##T##2(base x, base y) { return {x, y}; }           \
  inline T##4 make_##T##4(base x, base y, base z, base w) { return {x, y, z, w}; }
EMULATED_VECTORS(float, float)
EMULATED_VECTORS(double, double)
EMULATED_VECTORS(int, int)
EMULATED_VECTORS(uint, unsigned)
EMULATED_VECTORS(uchar, unsigned char)
#undef EMULATED_VECTORS

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
  void* attrs;
  unsigned numAttrs;
};

template <class... Expected, class... Actual>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Expected...),
                               Actual&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Expected> && ...), "a kernel's arguments are bytes");
  static_assert((std::size_t{0} + ... + sizeof(Expected)) <= 4096, "a kernel takes 4 KB at most");
  return emulated::launch(config->stream, {config->gridDim.x, config->gridDim.y, config->gridDim.z},
                          {config->blockDim.x, config->blockDim.y, config->blockDim.z},
                          [=] { kernel(static_cast<Expected>(arguments)...); });
}

inline void __syncthreads() { emulated::block_barrier(); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulated::exchange(0, emulated::lane_here()); }

template <class T>
T __shfl_sync(unsigned, T value, int lane, int width = warpSize) {
  static_assert(sizeof(T) <= 8);
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const int first = emulated::lane_here() / width * width;
  bits = emulated::exchange(bits, first + (lane & (width - 1)));
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize) {
  return __shfl_sync(mask, value, emulated::lane_here() ^ lanes, width);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = warpSize) {
  const int lane = emulated::lane_here() % width;
  const int from = lane + static_cast<int>(by);
  return __shfl_sync(mask, value, from < width ? from : lane, width);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = warpSize) {
  const int lane = emulated::lane_here() % width;
  const int from = lane - static_cast<int>(by);
  return __shfl_sync(mask, value, from >= 0 ? from : lane, width);
}
template <class T>
T __ldg(const T* at) {
  return *at;
}
