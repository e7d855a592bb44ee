// What tests may ask of the emulated GPU, and what its libraries need.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "cuda_runtime_api.h"

namespace emulated {

// ---- for libraries ----

// Work in the stream, or in what it records. Device memory may be touched only inside of it. Returns
// what the call that asked for it returns.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

// Whether [memory, memory + bytes) lies inside one block of device memory that is allocated now.
bool is_device_memory(const void* memory, std::size_t bytes);

// ---- for tests ----

// Makes the device as it was at the start but for its memory: no faults, forward order, 1 GiB.
void reset();
// What the device has; blocks beyond it are refused.
void set_memory(std::size_t bytes);
std::size_t memory_in_use();
// How many devices cudaGetDeviceCount counts.
void set_devices(int count);
// Blocks and threads run from the last to the first: a result that depends on the order is a race.
void set_reversed(bool reversed);
// The n-th piece of work from now on (1: the next) fails when it is run, as an access outside of
// memory would; the device is lost from then on, until reset().
void fail_work(int n);
// Counts since the start of the program.
struct Counts {
  long launches = 0;  // kernels that were started, recorded or not
  long graph_launches = 0;
  long allocations = 0;
  long synchronizations = 0;
};
Counts counts();

// ---- for cuda_runtime.h ----
cudaError_t launch(cudaStream_t stream, const unsigned (&blocks)[3], const unsigned (&threads)[3],
                   std::function<void()> thread);
void block_barrier();
// The value of 8 bytes or less that lane `lane` of this thread's warp gave.
unsigned long long exchange(unsigned long long value, int lane);
int lane_here();

}  // namespace emulated
