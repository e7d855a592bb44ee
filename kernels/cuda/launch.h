// Kernel launches: their shapes, and errors with the op's name.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

inline constexpr int warp_size = 32;
inline constexpr int block_threads = 256;

struct Grid {
  dim3 blocks = 1, threads = block_threads;
};

// One thread for each of n steps, or `each` steps to a thread; at most `most` blocks, whose threads
// then take further steps (for_each_step).
inline Grid grid_for(std::int64_t n, std::int64_t each = 1, std::int64_t most = 1 << 20) {
  const std::int64_t per_block = block_threads * each;
  return {dim3(static_cast<unsigned>(
              std::clamp<std::int64_t>((n + per_block - 1) / per_block, 1, most))),
          dim3(block_threads)};
}

// Runs `kernel` in the stream. Error with the op's name when it cannot start.
template <class... Parameters, class... Arguments>
void launch(const Stream& stream, const Grid& grid, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.stream = stream.use();
  UNDERSTUDY_CUDA(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
  stream.finish_launch();
}

#if defined(__CUDACC__) || defined(UNDERSTUDY_EMULATED_CUDA)
// The steps of this thread among n: its index in the grid, then on by the size of the grid.
template <class Body>
__device__ inline void for_each_step(std::int64_t n, Body&& body) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride)
    body(i);
}
#endif

}  // namespace understudy::cuda
