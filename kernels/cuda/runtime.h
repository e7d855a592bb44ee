// CUDA's runtime as C++: every call checked, everything owned by an object.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <utility>

namespace understudy::cuda {

// Throws Error with the public op under way, the call's text and place, and CUDA's words for it.
[[noreturn]] void throw_error(cudaError_t error, const char* call, const char* file, int line);
inline void check_call(cudaError_t error, const char* call, const char* file, int line) {
  if (error != cudaSuccess) [[unlikely]]
    throw_error(error, call, file, line);
}
#define UNDERSTUDY_CUDA(call) ::understudy::cuda::check_call((call), #call, __FILE__, __LINE__)

// Whether UNDERSTUDY_CUDA_SYNC=1 is set: each launch is waited for, so that an error is reported at
// the op that caused it. Without it the error appears at a later call.
bool waits_for_each_launch();

// An object of CUDA's that one call destroys.
template <class T, cudaError_t (*destroy)(T)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(T object) : object_(object) {}
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, T{})) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Owned() {
    if (object_ != T{}) static_cast<void>(destroy(object_));
  }
  T get() const { return object_; }
  explicit operator bool() const { return object_ != T{}; }

 private:
  T object_{};
};
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

Event make_timing_event();

// The one queue of a device, in which everything happens in the order of the calls.
class Stream {
 public:
  explicit Stream(int device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // For a call on this thread; makes the device the thread's current one.
  cudaStream_t use() const;
  // After a launch or a library's call: its error, or with UNDERSTUDY_CUDA_SYNC=1 that of the work.
  void finish_launch() const;
  void synchronize() const;
  // Whether this stream's work is being recorded.
  bool recording() const;
  int device() const { return device_; }

 private:
  int device_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace understudy::cuda
