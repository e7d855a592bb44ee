#include "kernels/cuda/runtime.h"

#include <cstdlib>
#include <string_view>

#include "kernels/check.h"
#include "kernels/op_name.h"

namespace understudy::cuda {
namespace {

thread_local int current_device = -1;

// The path from the project's folder on, without the machine's part.
std::string_view place(std::string_view file) {
  const std::size_t at = file.rfind("kernels/");
  return at == file.npos ? file : file.substr(at);
}

}  // namespace

void throw_error(cudaError_t error, const char* call, const char* file, int line) {
  // Some errors stay and would come back at the next call; those that do not are taken away here.
  static_cast<void>(cudaGetLastError());
  const std::string_view op = OpName::current();
  fail("{}{}: {} ({}), from {} at {}:{}{}", op.empty() ? "" : fmt::format("[{}] ", op), "CUDA",
       cudaGetErrorString(error), cudaGetErrorName(error), call, place(file), line,
       waits_for_each_launch() ? ""
                               : "; an earlier op may have caused it: UNDERSTUDY_CUDA_SYNC=1 "
                                 "reports errors where they arise");
}

bool waits_for_each_launch() {
  static const bool waits = [] {
    const char* value = std::getenv("UNDERSTUDY_CUDA_SYNC");
    return value != nullptr && std::string_view(value) != "" && std::string_view(value) != "0";
  }();
  return waits;
}

Event make_timing_event() {
  cudaEvent_t event = nullptr;
  UNDERSTUDY_CUDA(cudaEventCreate(&event));
  return Event(event);
}

Stream::Stream(int device) : device_(device) {
  UNDERSTUDY_CUDA(cudaSetDevice(device));
  current_device = device;
  UNDERSTUDY_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

Stream::~Stream() { static_cast<void>(cudaStreamDestroy(stream_)); }

cudaStream_t Stream::use() const {
  if (current_device != device_) {
    UNDERSTUDY_CUDA(cudaSetDevice(device_));
    current_device = device_;
  }
  return stream_;
}

void Stream::finish_launch() const {
  UNDERSTUDY_CUDA(cudaPeekAtLastError());
  if (waits_for_each_launch() && !recording()) synchronize();
}

void Stream::synchronize() const { UNDERSTUDY_CUDA(cudaStreamSynchronize(use())); }

bool Stream::recording() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  UNDERSTUDY_CUDA(cudaStreamIsCapturing(use(), &status));
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace understudy::cuda
