// Memory of the device. Blocks are taken from CUDA's stream-ordered pool in a stream of their own,
// which is never recorded, so that recorded work gets addresses and not allocations. engine/storage.h
// keeps what is released for the next op.
#include <algorithm>
#include <string_view>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/op_name.h"

namespace understudy::cuda {

DeviceMemory CudaBackend::memory() {
  DeviceMemory memory = {};
  static_cast<void>(stream_.use());
  UNDERSTUDY_CUDA(cudaMemGetInfo(&memory.free, &memory.total));
  return memory;
}

void* CudaBackend::allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaStream_t stream = memory_stream_.use();
  const std::size_t size = bytes == 0 ? 1 : bytes;
  const cudaError_t error =
      memory_pools_ ? cudaMallocAsync(&memory, size, stream) : cudaMalloc(&memory, size);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    fail("out of memory: a block of {} bytes ({:.1f} MiB) cannot be had on cuda:{}", bytes,
         static_cast<double>(bytes) / (1 << 20), stream_.device());
  }
  UNDERSTUDY_CUDA(error);
  // Other streams may use it once the allocation has happened.
  if (memory_pools_) memory_stream_.synchronize();
  return memory;
}

void CudaBackend::release(void* memory, std::size_t) noexcept {
  try {
    // What was launched before may still use it. While work is recorded, that is what was launched
    // before the recording: blocks of recorded work are kept by their pool.
    if (!stream_.recording()) {
      stream_.synchronize();
    } else {
      UNDERSTUDY_CUDA(cudaEventSynchronize(before_recording_.get()));
    }
    if (memory_pools_)
      UNDERSTUDY_CUDA(cudaFreeAsync(memory, memory_stream_.use()));
    else
      UNDERSTUDY_CUDA(cudaFree(memory));
  } catch (const Error&) {
    // The device is lost, and its memory with it; the next call says so.
  }
}

void CudaBackend::to_host(void* host, const void* device, std::size_t bytes) {
  if (bytes == 0) return;
  check_not_recording("reads values of the device");
  UNDERSTUDY_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_.use()));
  stream_.synchronize();
}

void CudaBackend::from_host(void* device, const void* host, std::size_t bytes) {
  if (bytes == 0) return;
  check_not_recording("brings values to the device");
  staging_.copy(device, host, bytes);
}

void CudaBackend::synchronize() {
  check_not_recording("waits for the device");
  stream_.synchronize();
}

void CudaBackend::check_not_recording(const char* what) const {
  const std::string_view op = OpName::current();
  check(!stream_.recording(),
        "{}{} while its work is being recorded, which would repeat the values of today; do it "
        "outside of the recorded step",
        op.empty() ? "something " : fmt::format("[{}] ", op), what);
}

void Workspace::Free::operator()(void* memory) const { backend->release(memory, bytes); }

void* Workspace::get(std::size_t bytes) {
  if (bytes <= bytes_) return blocks_.back().get();
  std::size_t size = std::max(bytes, 2 * bytes_);
  blocks_.reserve(blocks_.size() + 1);
  void* block = nullptr;
  try {
    block = backend_.allocate(size);
  } catch (const Error&) {
    size = bytes;  // where there is no room for what may come
    block = backend_.allocate(size);
  }
  blocks_.emplace_back(block, Free{&backend_, size});
  bytes_ = size;
  return blocks_.back().get();
}

}  // namespace understudy::cuda
