// How long a piece of work takes, for what is timed in microseconds.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/backend.h"
#include "kernels/device.h"

namespace understudy {

// Wall-clock microseconds of work(), the median over `repeats` calls after one to warm up.
template <class Work>
double median_microseconds(Device device, int repeats, Work work) {
  using Clock = std::chrono::steady_clock;
  work();  // caches, allocator
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    backend(device).synchronize();
    const auto start = Clock::now();
    work();
    backend(device).synchronize();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[static_cast<std::size_t>(repeats / 2)];
}

}  // namespace understudy
