// Streams, events and graphs. All streams are one queue in the order of the calls, which is one of
// the orders that the vendor's rules allow; nothing is run before somebody waits for it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda_runtime.h"
#include "emulated.h"
#include "grid.h"
#include "memory.h"

using Work = std::function<void()>;

struct cudaGraph_st {
  std::vector<Work> work;
};
struct cudaGraphExec_st {
  std::vector<Work> work;
};
struct cudaStream_st {
  cudaGraph_t recorded = nullptr;  // while capturing
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool invalid = false;  // the capture was broken by a call that cannot be recorded
};
struct cudaEvent_st {
  std::chrono::steady_clock::time_point at{};
  bool recorded = false;
};

namespace emulated {
namespace {

constexpr std::size_t longest_queue = 4096;

struct Gpu {
  std::recursive_mutex mutex;
  std::deque<Work> queue;
  bool running = false;
  cudaError_t lost = cudaSuccess;  // the error that stays
  int devices = 1;
  int fails_in = 0;
  bool reversed = false;
  Counts counts;
  std::vector<cudaStream_t> capturing;
};
Gpu& gpu() {
  static auto* gpu = new Gpu;
  return *gpu;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

cudaError_t give(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

void run(const Work& work) {
  Gpu& g = gpu();
  if (g.lost != cudaSuccess) return;
  if (g.fails_in > 0 && --g.fails_in == 0) {
    g.lost = cudaErrorIllegalAddress;
    return;
  }
  work();
}

cudaError_t drain() {
  Gpu& g = gpu();
  const std::scoped_lock lock(g.mutex);
  if (g.running) return g.lost;  // asked for from inside of work
  g.running = true;
  if (!g.queue.empty()) {
    const OpenMemory open;
    for (; !g.queue.empty(); g.queue.pop_front()) run(g.queue.front());
  }
  g.running = false;
  return g.lost;
}

// A call that cannot be recorded breaks the recording that its stream is in.
cudaError_t not_recordable(cudaStream_t stream) {
  stream->invalid = true;
  return give(cudaErrorStreamCaptureUnsupported);
}

// A call that concerns the whole device while a stream records.
cudaError_t refuse_while_capturing() {
  for (const cudaStream_t stream : gpu().capturing)
    if (stream->mode != cudaStreamCaptureModeRelaxed) return not_recordable(stream);
  return cudaSuccess;
}

}  // namespace

cudaError_t enqueue(cudaStream_t stream, Work work) {
  Gpu& g = gpu();
  const std::scoped_lock lock(g.mutex);
  if (g.lost != cudaSuccess) return give(g.lost);
  if (stream != nullptr && stream->recorded != nullptr) {
    stream->recorded->work.push_back(std::move(work));
    return cudaSuccess;
  }
  g.queue.push_back(std::move(work));
  return g.queue.size() < longest_queue ? cudaSuccess : give(drain());
}

bool is_device_memory(const void* memory, std::size_t bytes) { return owns(memory, bytes); }

void reset() {
  drain();
  Gpu& g = gpu();
  g.lost = cudaSuccess;
  g.fails_in = 0;
  g.reversed = false;
  g.devices = 1;
  limit_memory(std::size_t{1} << 30);
  last_error = cudaSuccess;
}
void set_memory(std::size_t bytes) { limit_memory(bytes); }
std::size_t memory_in_use() {
  drain();
  return memory_taken();
}
void set_devices(int count) { gpu().devices = count; }
void set_reversed(bool reversed) {
  drain();
  gpu().reversed = reversed;
}
void fail_work(int n) {
  drain();
  gpu().fails_in = n;
}
Counts counts() { return gpu().counts; }

cudaError_t launch(cudaStream_t stream, const unsigned (&blocks)[3], const unsigned (&threads)[3],
                   Work thread) {
  const std::uint64_t in_block = std::uint64_t{1} * threads[0] * threads[1] * threads[2];
  if (in_block == 0 || in_block > 1024 || threads[2] > 64 || blocks[0] == 0 || blocks[1] == 0 ||
      blocks[2] == 0 || blocks[0] > 0x7fffffffu || blocks[1] > 65535 || blocks[2] > 65535)
    return give(cudaErrorInvalidConfiguration);
  ++gpu().counts.launches;
  return enqueue(stream,
                 [b = std::to_array(blocks), t = std::to_array(threads), body = std::move(thread)] {
                   run_grid({b[0], b[1], b[2]}, {t[0], t[1], t[2]}, gpu().reversed, body);
                 });
}

}  // namespace emulated

using namespace emulated;

// ---- errors ----

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define NAME(name) \
  case name:       \
    return #name;
    NAME(cudaSuccess)
    NAME(cudaErrorInvalidValue)
    NAME(cudaErrorMemoryAllocation)
    NAME(cudaErrorInvalidConfiguration)
    NAME(cudaErrorInvalidDevicePointer)
    NAME(cudaErrorNoDevice)
    NAME(cudaErrorInvalidDevice)
    NAME(cudaErrorIllegalAddress)
    NAME(cudaErrorLaunchFailure)
    NAME(cudaErrorStreamCaptureUnsupported)
    NAME(cudaErrorStreamCaptureInvalidated)
#undef NAME
  }
  return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaPeekAtLastError() { return gpu().lost != cudaSuccess ? gpu().lost : last_error; }
cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}

// ---- devices ----

cudaError_t cudaGetDeviceCount(int* count) {
  *count = gpu().devices;
  return *count > 0 ? cudaSuccess : give(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= gpu().devices) return give(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated GPU");
  properties->totalGlobalMem = memory_limit();
  properties->major = 9;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      return cudaSuccess;
  }
  return give(cudaErrorInvalidValue);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  const cudaError_t refused = refuse_while_capturing();
  return refused != cudaSuccess ? refused : give(drain());
}

// ---- memory ----

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = memory_limit();
  *free = memory_limit() - std::min(memory_limit(), memory_in_use());
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  if (const cudaError_t refused = refuse_while_capturing(); refused != cudaSuccess) return refused;
  if (const cudaError_t error = drain(); error != cudaSuccess) return give(error);
  ++gpu().counts.allocations;
  *memory = take_memory(bytes);
  return *memory != nullptr ? cudaSuccess : give(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  if (const cudaError_t refused = refuse_while_capturing(); refused != cudaSuccess) return refused;
  static_cast<void>(drain());
  return give_memory_back(memory) ? cudaSuccess : give(cudaErrorInvalidDevicePointer);
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
  if (stream->recorded != nullptr) return not_recordable(stream);  // graphs with allocations: no
  if (gpu().lost != cudaSuccess) return give(gpu().lost);
  ++gpu().counts.allocations;
  *memory = take_memory(bytes);
  if (*memory == nullptr) {  // what is freed further up the queue may be enough
    if (const cudaError_t error = drain(); error != cudaSuccess) return give(error);
    *memory = take_memory(bytes);
  }
  return *memory != nullptr ? cudaSuccess : give(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  if (!owns(memory, 0)) return give(cudaErrorInvalidDevicePointer);
  return enqueue(stream, [memory] { give_memory_back(memory); });
}

// A copy from ordinary host memory has read it when the call returns; a recorded one reads it anew
// at each launch.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault || kind == cudaMemcpyHostToHost ||
      (bytes > 0 && (owns(to, bytes) != to_device || owns(from, bytes) != from_device)))
    return give(cudaErrorInvalidValue);
  // Also of memory that is not pinned, which CUDA may read before the call returns or after it.
  return enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = std::malloc(bytes);
  return *memory == nullptr ? give(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  static_cast<void>(drain());
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && !owns(memory, bytes)) return give(cudaErrorInvalidValue);
  return enqueue(stream, [=] { std::memset(memory, value, bytes); });
}

// ---- streams ----

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new cudaStream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  static_cast<void>(drain());
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->recorded != nullptr) return not_recordable(stream);
  ++gpu().counts.synchronizations;
  return give(drain());
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream->recorded == nullptr ? cudaStreamCaptureStatusNone
            : stream->invalid           ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream->recorded != nullptr) return give(cudaErrorStreamCaptureUnsupported);
  stream->recorded = new cudaGraph_st;
  stream->mode = mode;
  stream->invalid = false;
  gpu().capturing.push_back(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (stream->recorded == nullptr) return give(cudaErrorInvalidValue);
  std::erase(gpu().capturing, stream);
  const cudaGraph_t recorded = std::exchange(stream->recorded, nullptr);
  if (stream->invalid) {
    delete recorded;
    return give(cudaErrorStreamCaptureInvalidated);
  }
  *graph = recorded;
  return cudaSuccess;
}

// ---- events ----

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new cudaEvent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  static_cast<void>(drain());
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return enqueue(stream, [event] {
    event->at = std::chrono::steady_clock::now();
    event->recorded = true;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return give(drain()); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  if (!begin->recorded || !end->recorded) return give(cudaErrorInvalidValue);
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - begin->at).count();
  return cudaSuccess;
}

// ---- graphs ----

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new cudaGraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (stream->recorded != nullptr) return not_recordable(stream);
  ++gpu().counts.graph_launches;
  return enqueue(stream, [exec] {
    for (const Work& work : exec->work) run(work);
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  static_cast<void>(drain());
  delete exec;
  return cudaSuccess;
}
