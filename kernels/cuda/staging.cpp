#include "kernels/cuda/staging.h"

#include <cstring>

namespace understudy::cuda {

Staging::Staging(const Stream& stream) : stream_(stream) {
  static_cast<void>(stream_.use());
  void* memory = nullptr;
  UNDERSTUDY_CUDA(cudaMallocHost(&memory, slots * slot_bytes));
  memory_ = Owned<void*, cudaFreeHost>(memory);
}

void Staging::copy(void* device, const void* host, std::size_t bytes) {
  const cudaStream_t stream = stream_.use();
  if (bytes > slot_bytes) {
    UNDERSTUDY_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream));
    return stream_.synchronize();
  }
  const std::scoped_lock lock(mutex_);
  const std::size_t slot = next_;
  next_ = (next_ + 1) % slots;
  if (read_[slot])
    UNDERSTUDY_CUDA(cudaEventSynchronize(read_[slot].get()));
  else
    read_[slot] = make_timing_event();
  std::byte* const room = static_cast<std::byte*>(memory_.get()) + slot * slot_bytes;
  std::memcpy(room, host, bytes);
  UNDERSTUDY_CUDA(cudaMemcpyAsync(device, room, bytes, cudaMemcpyHostToDevice, stream));
  UNDERSTUDY_CUDA(cudaEventRecord(read_[slot].get(), stream));
  stream_.finish_launch();
}

}  // namespace understudy::cuda
