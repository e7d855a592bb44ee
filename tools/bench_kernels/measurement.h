// What bench_kernels measures: a list of kernels at given sizes, each of which is compared with
// sums in double before it is timed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/tensor.h"
#include "kernels/device.h"

namespace understudy::bench {

struct Measurement {
  // What is computed, on what, how: "conv/N64_H32_W32_C64_K64_R3_s1_p1_d1/forward/winograd".
  std::string name;
  // Of one call; 0 where it is not what limits the kernel. Arithmetic is counted by the definition
  // of the result, so an algorithm that saves some can be faster than the peak.
  double flops = 0;
  double bytes = 0;  // each array once for every pass that the computation cannot do without
  // Makes the data, computes once, and compares: Error that says which element differs by how much.
  // Returns the call to time.
  std::function<std::function<void()>()> prepare;
};

std::vector<Measurement> products(Device device);      // matrix products, OpenBLAS beside them
std::vector<Measurement> convolutions(Device device);  // of ResNet-18 and ConvEncoder
std::vector<Measurement> passes(Device device);        // batch norm, cross-entropy, Adam
std::vector<Measurement> codes(Device device);         // Fisher, encode, decode

// Elements uniform in [-1, 1), the same every time.
Tensor random(const Shape& shape, std::uint64_t seed, Device device);

// Error unless some 500 elements, spread over `result`, are within bound · rms of expected(i), the
// same element (in row-major order) in double; rms is the root mean square of the expected ones.
void check_sample(const Tensor& result, double bound,
                  const std::function<double(std::int64_t)>& expected);

// The bound for a result of `layers` products or convolutions, one on the other, whose factors the
// device may round on their way (tf32, bf16); `fp32` where it does not.
double bound_of_products(double fp32, Device device, int layers = 1);

}  // namespace understudy::bench
