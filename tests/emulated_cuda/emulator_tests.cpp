// The emulated GPU itself, and what the backend makes of its faults, which a real one cannot be asked
// for.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "emulated.h"
#include "engine/storage.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/op_name.h"
#include "tests/error_text.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

constexpr Device gpu{DeviceKind::cuda, 0};

struct Fresh {
  Fresh() { emulated::reset(); }
  ~Fresh() { emulated::reset(); }
};

template <class T>
std::vector<T> on_host(const void* device, std::size_t count) {
  std::vector<T> values(count);
  backend(gpu).to_host(values.data(), device, count * sizeof(T));
  return values;
}

// out[block] = the sum of block · threads + 0 ... threads - 1, by shuffles, then through shared memory.
__global__ void sums(int* out) {
  __shared__ int warps[32];
  int value = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    int sum = 0;
    for (unsigned i = 0; i < blockDim.x / 32; ++i) sum += warps[i];
    out[blockIdx.x] = sum;
  }
}

// Every thread hands its number on to the next one, many times.
__global__ void around(int* out) {
  __shared__ int ring[96];
  int value = static_cast<int>(threadIdx.x);
  for (int turn = 0; turn < 96; ++turn) {
    ring[(threadIdx.x + 1) % 96] = value;
    __syncthreads();
    value = ring[threadIdx.x];
    __syncthreads();
  }
  out[threadIdx.x] = value;
}

__global__ void race(int* out) {
  __shared__ int last;
  last = static_cast<int>(threadIdx.x);
  __syncthreads();
  if (threadIdx.x == 0) *out = last;
}

// around() without its second barrier.
__global__ void late(int* out) {
  __shared__ int ring[64];
  int value = static_cast<int>(threadIdx.x);
  for (int turn = 0; turn < 2; ++turn) {
    ring[(threadIdx.x + 1) % 64] = value;
    __syncthreads();
    value = ring[threadIdx.x];
  }
  out[threadIdx.x] = value;
}

// Each thread its own place, in the same two blocks.
__global__ void own(int* out) {
  __shared__ int places[64];
  places[threadIdx.x] = 1;
  out[threadIdx.x] = places[threadIdx.x];
}

__global__ void shifted(float* out) {
  const float value = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = __shfl_down_sync(0xffffffffu, value, 3);
  out[32 + threadIdx.x] = __shfl_sync(0xffffffffu, value, 5, 8);
}

// True when `body` ends the process, by a signal or a sanitizer, as touching device memory must.
template <class Body>
bool crashes(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(0);
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT}) std::signal(signal, SIG_DFL);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status != 0;
}

void run_in_both_orders(void (*kernel)(int*)) {
  const Fresh fresh;
  const cuda::Stream stream(0);
  void* const memory = backend(gpu).allocate(1024);
  for (const bool reversed : {false, true}) {
    emulated::set_reversed(reversed);
    launch(stream, {dim3(2), dim3(64)}, kernel, static_cast<int*>(memory));
    stream.synchronize();
  }
  backend(gpu).release(memory, 1024);
}

}  // namespace

TEST_SUITE_BEGIN("cuda");

TEST_CASE("cuda: emulated threads meet at barriers and in shuffles, in either order") {
  const Fresh fresh;
  const cuda::Stream stream(0);
  int* const memory = static_cast<int*>(backend(gpu).allocate(4096));
  for (const bool reversed : {false, true}) {
    emulated::set_reversed(reversed);
    launch(stream, {dim3(3), dim3(128)}, sums, memory);
    stream.synchronize();
    CHECK(on_host<int>(memory, 3) ==
          std::vector<int>{127 * 64, 127 * 64 + 128 * 128, 127 * 64 + 256 * 128});
    launch(stream, {dim3(1), dim3(96)}, around, memory);
    stream.synchronize();
    const auto ring = on_host<int>(memory, 96);
    for (int i = 0; i < 96; ++i) CHECK(ring[static_cast<std::size_t>(i)] == i);
  }
  launch(stream, {dim3(1), dim3(32)}, shifted, reinterpret_cast<float*>(memory));
  stream.synchronize();
  const auto values = on_host<float>(memory, 64);
  CHECK(values[0] == 3);
  CHECK(values[28] == 31);
  CHECK(values[29] == 29);  // beyond the warp: its own
  CHECK(values[32] == 5);
  CHECK(values[32 + 31] == 29);
  backend(gpu).release(memory, 4096);
}

TEST_CASE("cuda: what an emulated race leaves depends on the order of threads") {
  const Fresh fresh;
#ifdef __SANITIZE_THREAD__
  MESSAGE("[skipped] TSan would report it");
#else
  const cuda::Stream stream(0);
  void* const memory = backend(gpu).allocate(64);
  for (const bool reversed : {false, true}) {
    emulated::set_reversed(reversed);
    launch(stream, {dim3(1), dim3(64)}, race, static_cast<int*>(memory));
    stream.synchronize();
    CHECK(on_host<int>(memory, 1)[0] == (reversed ? 0 : 63));
  }
  backend(gpu).release(memory, 64);
#endif
}

// Each is run in a process of its own, whose end tells what TSan has seen.
TEST_CASE("watched: many write one place" * doctest::skip()) { run_in_both_orders(race); }
TEST_CASE("watched: a barrier is left out" * doctest::skip()) { run_in_both_orders(late); }
TEST_CASE("watched: each has its own place" * doctest::skip()) { run_in_both_orders(own); }

TEST_CASE("cuda: TSan sees races of emulated threads, whatever the order they run in") {
#ifdef __SANITIZE_THREAD__
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const auto ends_well = [&](const char* name) {
    const std::string command =
        fmt::format("'{}' --no-skip --test-case='watched: {}' > /dev/null 2>&1", program, name);
    return std::system(command.c_str()) == 0;
  };
  CHECK_FALSE(ends_well("many write one place"));
  CHECK_FALSE(ends_well("a barrier is left out"));
  CHECK(ends_well("each has its own place"));
#else
  MESSAGE("[skipped] built without TSan (the preset tsan)");
#endif
}

TEST_CASE("cuda: emulated memory is closed to the host, and its edges are watched") {
  const Fresh fresh;
  void* const memory = backend(gpu).allocate(64);
  CHECK(crashes([&] { *static_cast<volatile char*>(memory) = 1; }));
  CHECK(crashes([&] { static_cast<void>(*static_cast<volatile char*>(memory)); }));
  CHECK(crashes([&] {
    UNDERSTUDY_CUDA(emulated::enqueue(nullptr, [&] { static_cast<char*>(memory)[64] = 1; }));
    backend(gpu).release(memory, 64);
    emulated::memory_in_use();
  }));
  backend(gpu).release(memory, 64);
}

TEST_CASE("cuda: a host buffer may go once from_host has returned") {
  const Fresh fresh;
  void* const memory = backend(gpu).allocate(16);
  {
    std::vector<int> values = {1, 2, 3, 4};
    backend(gpu).from_host(memory, values.data(), 16);
    values.assign(4, -1);
  }
  CHECK(on_host<int>(memory, 4) == std::vector<int>{1, 2, 3, 4});
  backend(gpu).release(memory, 16);
}

TEST_CASE("cuda: memory that is not there is an error for people, and the next call works") {
  const Fresh fresh;
  backend(gpu).synchronize();
  emulated::set_memory(emulated::memory_in_use() + (1 << 20));
  const std::string text = error_text([] { backend(gpu).allocate(2 << 20); });
  CHECK(text.find("out of memory: a block of 2097152 bytes (2.0 MiB) cannot be had on cuda:0") !=
        std::string::npos);
  void* const memory = backend(gpu).allocate(1 << 10);
  backend(gpu).release(memory, 1 << 10);
}

TEST_CASE("cuda: an asynchronous fault names the op at which it came to light") {
  const Fresh fresh;
  void* const memory = backend(gpu).allocate(16);
  emulated::fail_work(1);
  const View view{memory, DType::f32, {4}, {1}};
  backend(gpu).fill(view, 1);
  const OpName op("conv2d");
  const std::string text = error_text([] { backend(gpu).synchronize(); });
  CHECK(text.find("[conv2d]") != std::string::npos);
  CHECK(text.find("cudaErrorIllegalAddress") != std::string::npos);
  CHECK(text.find("UNDERSTUDY_CUDA_SYNC=1") != std::string::npos);
  emulated::reset();
  backend(gpu).release(memory, 16);
}

TEST_CASE("cuda: devices that are not there are named") {
  const Fresh fresh;
  CHECK(error_text([] {
          backend({DeviceKind::cuda, 5});
        }).find("device 'cuda:5' was asked for, but there is one: expected cuda:0") !=
        std::string::npos);
  emulated::set_devices(0);
  CHECK(error_text([] {
          backend({DeviceKind::cuda, 7});
        }).find("use --device cpu") != std::string::npos);
}

TEST_CASE("cuda: recorded work is done when it is run, on the memory of its day") {
  const Fresh fresh;
  Backend& device = backend(gpu);
  auto* const memory = static_cast<float*>(device.allocate(32));
  const View a{memory, DType::f32, {4}, {1}}, b{memory + 4, DType::f32, {4}, {1}};
  device.fill(a, 1);
  device.fill(b, 0);
  device.begin_recording();
  device.binary(Binary::add, b, b, a);
  device.unary(Unary::scale, a, a, 2);
  const std::unique_ptr<RecordedWork> work = device.end_recording();
  CHECK(on_host<float>(memory, 8) == std::vector<float>{1, 1, 1, 1, 0, 0, 0, 0});
  for (int i = 0; i < 3; ++i) work->run();
  CHECK(on_host<float>(memory, 8) == std::vector<float>{8, 8, 8, 8, 7, 7, 7, 7});
  device.release(memory, 32);
}

TEST_CASE("cuda: a recording refuses to read or write host memory, and the device stays usable") {
  const Fresh fresh;
  Backend& device = backend(gpu);
  auto* const memory = static_cast<float*>(device.allocate(16));
  device.fill({memory, DType::f32, {4}, {1}}, 3);
  float host[4] = {};
  device.begin_recording();
  {
    const OpName op("item");
    CHECK(error_text([&] {
            device.to_host(host, memory, 16);
          }).starts_with("[item] reads values of the device while its work is being recorded"));
    CHECK_THROWS_AS(device.from_host(memory, host, 16), Error);
    CHECK_THROWS_AS(device.synchronize(), Error);
    CHECK_THROWS_AS(device.begin_recording(), Error);
  }
  device.end_recording();
  CHECK(on_host<float>(memory, 4) == std::vector<float>{3, 3, 3, 3});
  device.release(memory, 16);
}

TEST_CASE("cuda: memory can be taken while work is recorded") {
  const Fresh fresh;
  Backend& device = backend(gpu);
  device.begin_recording();
  auto* const memory = static_cast<float*>(device.allocate(16));
  device.fill({memory, DType::f32, {4}, {1}}, 5);
  const auto work = device.end_recording();
  work->run();
  CHECK(on_host<float>(memory, 4) == std::vector<float>{5, 5, 5, 5});
  device.release(memory, 16);
}

TEST_SUITE_END();
