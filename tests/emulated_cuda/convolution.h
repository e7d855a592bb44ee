// The convolutions of the emulated cuDNN, behind its functions.
#pragma once

#include <cstddef>
#include <vector>

#include "cudnn.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};
// n, c, h, w in the order of the vendor's arguments, whatever the format; a filter's k is its n.
struct cudnnTensorStruct {
  cudnnDataType_t type{};
  int n = 0, c = 0, h = 0, w = 0;
  std::size_t count() const {
    return static_cast<std::size_t>(n) * static_cast<std::size_t>(c) * static_cast<std::size_t>(h) *
           static_cast<std::size_t>(w);
  }
  std::size_t bytes() const { return count() * (type == CUDNN_DATA_FLOAT ? 4 : 2); }
  friend bool operator==(const cudnnTensorStruct&, const cudnnTensorStruct&) = default;
};
struct cudnnFilterStruct : cudnnTensorStruct {};
struct cudnnConvolutionStruct {
  int pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};
struct cudnnActivationStruct {
  cudnnActivationMode_t mode{};
  cudnnNanPropagation_t nan{};
};

namespace emulated {

enum class Pass { forward, data, filter };

// One convolution as all functions see it.
struct Problem {
  Pass pass;
  cudnnTensorStruct x, y, w;
  cudnnConvolutionStruct conv;
};

struct Algorithm {
  int number;
  bool deterministic;
};
// Success, or why the library would not have the problem.
cudnnStatus_t check_problem(const Problem& p);
// In the order of the library's guesses.
std::vector<Algorithm> algorithms_of(const Problem& p);
bool supports(const Problem& p, int algorithm);
std::size_t workspace_of(const Problem& p, int algorithm);

struct Fused {
  const void* residual = nullptr;
  double keep = 0;
  const void* bias = nullptr;
  bool relu = false, drops_nan = false;
};

// Whether an argument is where the library can use it.
bool is_good(const void* data, std::size_t bytes);

// a, b and out by pass: (x, w, y), (dy, w, dx), (dy, x, dw).
cudnnStatus_t run(cudnnHandle_t handle, const Problem& p, const void* alpha, const void* a,
                  const void* b, int algorithm, void* workspace, std::size_t workspace_bytes,
                  const void* beta, void* out, const Fused& fused = {});

}  // namespace emulated
