// Convolutions of NHWC images, naively in double, with the checks that the vendor documents. What it
// refuses, the real library may take; what it takes, the real one is known to take.
#include "convolution.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>

#include "emulated.h"
#include "emulated_libraries.h"

namespace emulated {
namespace {

int outputs(int size, int window, int stride, int pad, int dilation) {
  const int room = size + 2 * pad - (dilation * (window - 1) + 1);
  return room < 0 ? 0 : room / stride + 1;
}

// Numbers as the device reads them, and back.
struct Values {
  cudnnDataType_t type;
  cudnnMathType_t math;

  std::vector<double> read(const void* data, std::size_t count) const {
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = double{one(data, i)};
    return values;
  }
  float one(const void* data, std::size_t i) const {
    if (type == CUDNN_DATA_BFLOAT16) return from_bf16(static_cast<const unsigned short*>(data)[i]);
    const float value = static_cast<const float*>(data)[i];
    switch (math) {
      case CUDNN_FMA_MATH:
        return value;
      case CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION:
        return from_bf16(to_bf16(value));
      default:
        return to_tf32(value);
    }
  }
  void write(void* data, std::size_t i, double value) const {
    if (type == CUDNN_DATA_BFLOAT16)
      static_cast<unsigned short*>(data)[i] = to_bf16(static_cast<float>(value));
    else
      static_cast<float*>(data)[i] = static_cast<float>(value);
  }
};

// Σ by the definition into `out`, for the pass.
std::vector<double> convolve(const Problem& p, const std::vector<double>& a,
                             const std::vector<double>& b, std::size_t out_count) {
  std::vector<double> out(out_count, 0.0);
  const auto C = static_cast<std::size_t>(p.x.c), K = static_cast<std::size_t>(p.y.c);
  for (int n = 0; n < p.x.n; ++n)
    for (int i = 0; i < p.y.h; ++i)
      for (int j = 0; j < p.y.w; ++j)
        for (int r = 0; r < p.w.h; ++r)
          for (int s = 0; s < p.w.w; ++s) {
            const int h = i * p.conv.stride_h - p.conv.pad_h + r * p.conv.dilation_h;
            const int w = j * p.conv.stride_w - p.conv.pad_w + s * p.conv.dilation_w;
            if (h < 0 || h >= p.x.h || w < 0 || w >= p.x.w) continue;
            const std::size_t x = static_cast<std::size_t>((n * p.x.h + h) * p.x.w + w) * C;
            const std::size_t y = static_cast<std::size_t>((n * p.y.h + i) * p.y.w + j) * K;
            for (std::size_t k = 0; k < K; ++k) {
              const std::size_t f =
                  ((k * static_cast<std::size_t>(p.w.h) + static_cast<std::size_t>(r)) *
                       static_cast<std::size_t>(p.w.w) +
                   static_cast<std::size_t>(s)) *
                  C;
              for (std::size_t c = 0; c < C; ++c) switch (p.pass) {
                  case Pass::forward:
                    out[y + k] += a[x + c] * b[f + c];
                    break;
                  case Pass::data:
                    out[x + c] += a[y + k] * b[f + c];
                    break;
                  case Pass::filter:
                    out[f + c] += a[y + k] * b[x + c];
                    break;
                }
            }
          }
  return out;
}

}  // namespace

cudnnStatus_t check_problem(const Problem& p) {
  const cudnnConvolutionStruct& c = p.conv;
  if (p.x.count() == 0 || p.y.count() == 0 || p.w.count() == 0) return CUDNN_STATUS_BAD_PARAM;
  if (p.x.n != p.y.n || p.x.c != p.w.c || p.y.c != p.w.n ||
      p.y.h != outputs(p.x.h, p.w.h, c.stride_h, c.pad_h, c.dilation_h) ||
      p.y.w != outputs(p.x.w, p.w.w, c.stride_w, c.pad_w, c.dilation_w))
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  if (p.x.type != p.y.type || p.x.type != p.w.type || library_manners().refuses_convolutions)
    return CUDNN_STATUS_NOT_SUPPORTED;
  return CUDNN_STATUS_SUCCESS;
}

// Those for NHWC; 4 (FFT) of the forward pass and 2 of the others are answered as not supported.
std::vector<Algorithm> algorithms_of(const Problem& p) {
  switch (p.pass) {
    case Pass::forward:
      return {{CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, true},
              {CUDNN_CONVOLUTION_FWD_ALGO_FFT, true},
              {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, true},
              {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, true}};
    case Pass::data:
      return {{CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, false},
              {CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, true},
              {CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT, true}};
    case Pass::filter:
      break;
  }
  return {{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, false},
          {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, true},
          {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT, true}};
}

bool supports(const Problem& p, int algorithm) {
  if (p.pass != Pass::forward) return algorithm == 0 || algorithm == 1;
  const bool dilated = p.conv.dilation_h > 1 || p.conv.dilation_w > 1;
  switch (algorithm) {
    case CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM:
      return true;
    case CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM:
      return !dilated;
    case CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED:
      return !dilated && p.w.h == 3 && p.w.w == 3 && p.conv.stride_h == 1 && p.conv.stride_w == 1;
    default:
      return false;
  }
}

std::size_t workspace_of(const Problem& p, int algorithm) {
  if (algorithm == library_manners().hungry) return std::size_t{2} << 30;
  if (p.pass == Pass::forward && algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM) return 0;
  return 512 + p.w.count() * 4;
}

bool is_good(const void* data, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && is_device_memory(data, bytes);
}

cudnnStatus_t run(cudnnHandle_t handle, const Problem& p, const void* alpha, const void* a,
                  const void* b, int algorithm, void* workspace, std::size_t workspace_bytes,
                  const void* beta, void* out, const Fused& fused) {
  if (handle == nullptr || alpha == nullptr || beta == nullptr)
    return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (const cudnnStatus_t status = check_problem(p); status != CUDNN_STATUS_SUCCESS) return status;
  if (!supports(p, algorithm) || library_manners().fails_at_run) return CUDNN_STATUS_NOT_SUPPORTED;
  if (algorithm == library_manners().broken) return CUDNN_STATUS_EXECUTION_FAILED;
  if (workspace_bytes < workspace_of(p, algorithm) ||
      (workspace_bytes > 0 && !is_good(workspace, workspace_bytes)))
    return CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT;
  const cudnnTensorStruct& a_shape = p.pass == Pass::forward ? p.x : p.y;
  const cudnnTensorStruct& b_shape = p.pass == Pass::filter ? p.x : p.w;
  const cudnnTensorStruct& out_shape = p.pass == Pass::forward ? p.y
                                       : p.pass == Pass::data  ? p.x
                                                               : p.w;
  if (!is_good(a, a_shape.bytes()) || !is_good(b, b_shape.bytes()) ||
      !is_good(out, out_shape.bytes()))
    return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  LibraryCounts& counts = library_counts();
  ++counts.convolutions;
  counts.last_convolution = algorithm;
  const bool waits = library_manners().fastest >= 0 && library_manners().fastest != algorithm;
  const bool deterministic = p.pass == Pass::forward || algorithm != 0;
  const cudaError_t error = enqueue(
      handle->stream, [=, factor = double{*static_cast<const float*>(alpha)},
                       keep = double{*static_cast<const float*>(beta)}, a_count = a_shape.count(),
                       b_count = b_shape.count(), out_count = out_shape.count()] {
        if (workspace_bytes > 0) std::memset(workspace, 0xCD, workspace_bytes);
        if (waits) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        // An algorithm that is not deterministic is another one at each run.
        static int runs = 0;
        const double shift = deterministic ? 1 : 1 + 1e-6 * (++runs % 7);
        const Values values{p.x.type, p.conv.math};
        const Values exact{p.x.type, CUDNN_FMA_MATH};
        const auto sums = convolve(p, values.read(a, a_count), values.read(b, b_count), out_count);
        const auto channels = static_cast<std::size_t>(p.y.c);
        for (std::size_t i = 0; i < out_count; ++i) {
          double value = factor * sums[i] * shift;
          if (keep != 0) value += keep * double{exact.one(out, i)};
          if (fused.keep != 0) value += fused.keep * double{exact.one(fused.residual, i)};
          if (fused.bias != nullptr) value += double{exact.one(fused.bias, i % channels)};
          if (fused.relu && (value < 0 || (fused.drops_nan && std::isnan(value)))) value = 0;
          values.write(out, i, value);
        }
      });
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace emulated
