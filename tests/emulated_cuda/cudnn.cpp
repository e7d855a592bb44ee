// cuDNN's functions: descriptors, heuristics, convolutions. What they compute is in convolution.cpp.
#include "cudnn.h"

#include "convolution.h"
#include "emulated_libraries.h"

namespace emulated {
namespace {

// With FMA_MATH asked for, one is answered with DEFAULT_MATH; with tensor cores each comes with and
// without a conversion of its own.
template <class Performance>
cudnnStatus_t answer(const Problem& p, int wanted, int* count, Performance* results) {
  ++library_counts().convolution_heuristics;
  *count = 0;
  if (wanted <= 0 || results == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (const cudnnStatus_t status = check_problem(p); status != CUDNN_STATUS_SUCCESS) return status;
  const bool tensor_cores = p.conv.math != CUDNN_FMA_MATH;
  for (const auto& [number, deterministic] : algorithms_of(p)) {
    const cudnnMathType_t plain = tensor_cores  ? CUDNN_TENSOR_OP_MATH
                                  : number == 0 ? CUDNN_DEFAULT_MATH
                                                : CUDNN_FMA_MATH;
    for (const cudnnMathType_t math : {CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, plain}) {
      if ((math != plain && !tensor_cores) || *count == wanted) continue;
      Performance& result = results[(*count)++];
      result = {};
      result.algo = static_cast<decltype(result.algo)>(number);
      result.status = supports(p, number) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
      result.time = -1;
      result.memory = workspace_of(p, number);
      result.determinism = deterministic ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
      result.mathType = math;
    }
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t answer_workspace(const Problem& p, int algorithm, std::size_t* bytes) {
  if (const cudnnStatus_t status = check_problem(p); status != CUDNN_STATUS_SUCCESS) return status;
  if (!supports(p, algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = workspace_of(p, algorithm);
  return CUDNN_STATUS_SUCCESS;
}

Problem problem(Pass pass, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t y) {
  return {pass, *x, *y, *w, *conv};
}

template <class T>
cudnnStatus_t make(T** object) {
  *object = new T{};
  return CUDNN_STATUS_SUCCESS;
}
template <class T>
cudnnStatus_t destroy(T* object) {
  delete object;
  return CUDNN_STATUS_SUCCESS;
}

// Only what is known of NHWC, in the two types that the project has there.
cudnnStatus_t describe(cudnnTensorStruct* to, cudnnTensorFormat_t format, cudnnDataType_t type,
                       int n, int c, int h, int w) {
  if (n <= 0 || c <= 0 || h <= 0 || w <= 0) return CUDNN_STATUS_BAD_PARAM;
  if (format != CUDNN_TENSOR_NHWC || (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16))
    return CUDNN_STATUS_NOT_SUPPORTED;
  *to = {type, n, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace
}  // namespace emulated

using namespace emulated;

const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_EXECUTION_FAILED ? "CUDNN_STATUS_EXECUTION_FAILED"
         : status >= 3000                        ? "CUDNN_STATUS_NOT_SUPPORTED"
         : status >= 2000                        ? "CUDNN_STATUS_BAD_PARAM"
                                                 : "CUDNN_STATUS_SUCCESS";
}
std::size_t cudnnGetVersion() { return 91900; }
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) { return make(handle); }
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return destroy(handle); }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* tensor) { return make(tensor); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) {
  return destroy(tensor);
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  return describe(tensor, format, type, n, c, h, w);
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* filter) { return make(filter); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter) {
  return destroy(filter);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  return describe(filter, format, type, k, c, h, w);
}
cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t* activation) {
  return make(activation);
}
cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t activation) {
  return destroy(activation);
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t activation,
                                           cudnnActivationMode_t mode, cudnnNanPropagation_t nan,
                                           double) {
  *activation = {mode, nan};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* conv) {
  return make(conv);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t conv) {
  return destroy(conv);
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t conv, cudnnMathType_t math) {
  conv->math = math;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t conv, int pad_h,
                                              int pad_w, int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
  if (pad_h < 0 || pad_w < 0 || stride_h <= 0 || stride_w <= 0 || dilation_h <= 0 ||
      dilation_w <= 0)
    return CUDNN_STATUS_BAD_PARAM;
  if (mode != CUDNN_CROSS_CORRELATION || compute != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  *conv = {pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, CUDNN_DEFAULT_MATH};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                     cudnnFilterDescriptor_t w,
                                                     cudnnConvolutionDescriptor_t conv,
                                                     cudnnTensorDescriptor_t y, int wanted,
                                                     int* count,
                                                     cudnnConvolutionFwdAlgoPerf_t* results) {
  return answer(problem(Pass::forward, x, w, conv, y), wanted, count, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t dx, int wanted, int* count,
    cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return answer(problem(Pass::data, dx, w, conv, dy), wanted, count, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnFilterDescriptor_t dw, int wanted, int* count,
    cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return answer(problem(Pass::filter, x, dw, conv, dy), wanted, count, results);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                      cudnnFilterDescriptor_t w,
                                                      cudnnConvolutionDescriptor_t conv,
                                                      cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algorithm,
                                                      std::size_t* bytes) {
  return answer_workspace(problem(Pass::forward, x, w, conv, y), algorithm, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, cudnnFilterDescriptor_t w,
                                                           cudnnTensorDescriptor_t dy,
                                                           cudnnConvolutionDescriptor_t conv,
                                                           cudnnTensorDescriptor_t dx,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm,
                                                           std::size_t* bytes) {
  return answer_workspace(problem(Pass::data, dx, w, conv, dy), algorithm, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t* bytes) {
  return answer_workspace(problem(Pass::filter, x, dw, conv, dy), algorithm, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      cudnnTensorDescriptor_t x_shape, const void* x,
                                      cudnnFilterDescriptor_t w_shape, const void* w,
                                      cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      std::size_t workspace_bytes, const void* beta,
                                      cudnnTensorDescriptor_t y_shape, void* y) {
  return run(handle, problem(Pass::forward, x_shape, w_shape, conv, y_shape), alpha, x, w,
             algorithm, workspace, workspace_bytes, beta, y);
}
cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha1, cudnnTensorDescriptor_t x_shape, const void* x,
    cudnnFilterDescriptor_t w_shape, const void* w, cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionFwdAlgo_t algorithm, void* workspace, std::size_t workspace_bytes,
    const void* alpha2, cudnnTensorDescriptor_t z_shape, const void* z,
    cudnnTensorDescriptor_t bias_shape, const void* bias, cudnnActivationDescriptor_t activation,
    cudnnTensorDescriptor_t y_shape, void* y) {
  if (alpha2 == nullptr || z == nullptr || bias == nullptr)
    return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!(*z_shape == *y_shape) || bias_shape->n != 1 || bias_shape->h != 1 || bias_shape->w != 1 ||
      bias_shape->c != y_shape->c || bias_shape->type != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  if (!is_good(z, z_shape->bytes()) || !is_good(bias, bias_shape->bytes()))
    return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  const LibraryManners& manners = library_manners();
  if (manners.refuses_fused || activation->mode != CUDNN_ACTIVATION_RELU)
    return CUDNN_STATUS_NOT_SUPPORTED;
  ++library_counts().fused_convolutions;
  const float none = 0;
  const Fused fused{z, double{*static_cast<const float*>(alpha2)}, bias, true,
                    manners.relu_drops_nan || activation->nan == CUDNN_NOT_PROPAGATE_NAN};
  return run(handle, problem(Pass::forward, x_shape, w_shape, conv, y_shape), alpha1, x, w,
             algorithm, workspace, workspace_bytes, &none, y, fused);
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           cudnnFilterDescriptor_t w_shape, const void* w,
                                           cudnnTensorDescriptor_t dy_shape, const void* dy,
                                           cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           std::size_t workspace_bytes, const void* beta,
                                           cudnnTensorDescriptor_t dx_shape, void* dx) {
  return run(handle, problem(Pass::data, dx_shape, w_shape, conv, dy_shape), alpha, dy, w,
             algorithm, workspace, workspace_bytes, beta, dx);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x,
    cudnnTensorDescriptor_t dy_shape, const void* dy, cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, std::size_t workspace_bytes,
    const void* beta, cudnnFilterDescriptor_t dw_shape, void* dw) {
  return run(handle, problem(Pass::filter, x_shape, dw_shape, conv, dy_shape), alpha, dy, x,
             algorithm, workspace, workspace_bytes, beta, dw);
}
