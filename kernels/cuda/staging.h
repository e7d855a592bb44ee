// Values on their way from the host to the device.
#pragma once

#include <array>
#include <mutex>

#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

// CUDA does not promise when an asynchronous copy has read memory that is not pinned, and waiting for
// it would leave a GPU idle between two steps. So what is small goes through pinned memory of its own,
// in slots that are used by turns; what is large is waited for.
class Staging {
 public:
  explicit Staging(const Stream& stream);
  // `host` has been read when it returns.
  void copy(void* device, const void* host, std::size_t bytes);

 private:
  static constexpr std::size_t slot_bytes = std::size_t{16} << 10;
  static constexpr std::size_t slots = 32;  // copies of some ten steps

  const Stream& stream_;
  Owned<void*, cudaFreeHost> memory_;
  std::array<Event, slots> read_;  // recorded behind the copy from each slot
  std::size_t next_ = 0;
  std::mutex mutex_;
};

}  // namespace understudy::cuda
