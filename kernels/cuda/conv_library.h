// A library of convolutions that a build may have or not: cuDNN (conv_cudnn.cpp).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/plan_cache.h"
#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

// What a library would do: its `algorithm` with its `math`, both numbers of its own.
struct ConvOffer {
  int algorithm, math;
  std::size_t workspace;
};

// One problem, in the library's terms. Images are float32 or, with Precision::bf16, bfloat16, and so
// are filters and results; sums are float32.
class LibraryConv {
 public:
  virtual ~LibraryConv() = default;
  // Best first, as the library guesses, none twice. With `deterministic` only such as give the same
  // bits every time.
  virtual const std::vector<ConvOffer>& offers() const = 0;
  // By pass: forward (x, w, y), input_gradient (dy, w, dx), weight_gradient (dy, x, dw). False when
  // the library refuses after all; `out` is then as it was, or garbage.
  virtual bool run(const ConvOffer& offer, const void* a, const void* b, void* out,
                   void* workspace) = 0;
  // Forward pass of float32: y = ReLU(alpha · conv(x, w) + residual + bias); residual null for none.
  virtual bool run_fused(const ConvOffer& offer, const void* x, const void* w, void* y, float alpha,
                         const float* bias, const float* residual, void* workspace) = 0;
};

class ConvLibrary {
 public:
  virtual ~ConvLibrary() = default;
  virtual std::string describe() const = 0;  // "cuDNN 9.19.0"
  // Null where the library refuses the problem.
  virtual std::unique_ptr<LibraryConv> prepare(const ConvProblem& problem) = 0;
};

// Null where this program was built without one.
std::unique_ptr<ConvLibrary> make_conv_library(const Stream& stream);

}  // namespace understudy::cuda
