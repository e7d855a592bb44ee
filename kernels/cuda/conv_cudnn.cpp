#include "kernels/cuda/conv_cudnn.h"

#include <cudnn.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>

#include "kernels/check.h"
#include "kernels/op_name.h"

namespace understudy::cuda {
namespace {

[[noreturn]] void throw_cudnn_error(cudnnStatus_t status, const char* call, int line) {
  const std::string_view op = OpName::current();
  fail("{}cuDNN: {}, from {} at kernels/cuda/conv_cudnn.cpp:{}",
       op.empty() ? "" : fmt::format("[{}] ", op), cudnnGetErrorString(status), call, line);
}
#define UNDERSTUDY_CUDNN_CALL(call)                                            \
  do {                                                                         \
    if (const cudnnStatus_t status_ = (call); status_ != CUDNN_STATUS_SUCCESS) \
      throw_cudnn_error(status_, #call, __LINE__);                             \
  } while (false)

// "Not like that": the library has no way for this problem, as opposed to a device that is lost or a
// library that does not work at all. Which of these a version answers has changed over time.
bool is_refusal(cudnnStatus_t status) {
  constexpr int bad_parameter = 2000, not_supported = 3000, internal_error = 4000;
  const int category = static_cast<int>(status) / 1000 * 1000;
  return category == bad_parameter || category == not_supported || category == internal_error;
}
// True for success, false for a refusal; throws for everything else.
bool accepted(cudnnStatus_t status, const char* call, int line) {
  if (status != CUDNN_STATUS_SUCCESS && !is_refusal(status)) throw_cudnn_error(status, call, line);
  return status == CUDNN_STATUS_SUCCESS;
}
#define UNDERSTUDY_ACCEPTED(call) accepted((call), #call, __LINE__)

template <class T, cudnnStatus_t (*create)(T*), cudnnStatus_t (*destroy)(T)>
class CudnnOwned {
 public:
  CudnnOwned() { UNDERSTUDY_CUDNN_CALL(create(&object_)); }
  ~CudnnOwned() { static_cast<void>(destroy(object_)); }
  CudnnOwned(const CudnnOwned&) = delete;
  CudnnOwned& operator=(const CudnnOwned&) = delete;
  T get() const { return object_; }

 private:
  T object_{};
};
using Handle = CudnnOwned<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using Tensor =
    CudnnOwned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using Filter =
    CudnnOwned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Convolution = CudnnOwned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                               cudnnDestroyConvolutionDescriptor>;
using Activation = CudnnOwned<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
                              cudnnDestroyActivationDescriptor>;

// float32 on tensor cores is TF32, which DEFAULT_MATH allows on an Ampere and later; FMA_MATH is the
// only one that never does.
cudnnMathType_t math_of(Precision precision) {
  return precision == Precision::fp32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;
}
// What may be run. An offer's own math can be another one than what was asked for.
bool allows(Precision precision, cudnnMathType_t math) {
  return precision == Precision::fp32 ? math == CUDNN_FMA_MATH
                                      : math != CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
}

class CudnnConv final : public LibraryConv {
 public:
  CudnnConv(cudnnHandle_t handle, const ConvProblem& problem)
      : handle_(handle), problem_(problem), x_{}, y_{}, w_{}, conv_{} {}

  // Whether the library has anything for this problem.
  bool prepare() {
    const ConvShape& s = problem_.shape;
    const Conv2d& c = s.conv;
    const auto type =
        problem_.precision == Precision::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    // Sizes are C's int here, and so are counts of elements inside of the library.
    constexpr std::int64_t most = std::numeric_limits<int>::max();
    for (const std::int64_t count :
         {s.N * s.H * s.W * s.C, s.N * s.P * s.Q * s.K, s.K * s.R * s.S * s.C, c.stride.height,
          c.stride.width, c.padding.height, c.padding.width, c.dilation.height, c.dilation.width})
      if (count > most) return false;
    const auto n = [](std::int64_t size) { return static_cast<int>(size); };
    const bool described =
        UNDERSTUDY_ACCEPTED(cudnnSetTensor4dDescriptor(x_.get(), CUDNN_TENSOR_NHWC, type, n(s.N),
                                                       n(s.C), n(s.H), n(s.W))) &&
        UNDERSTUDY_ACCEPTED(cudnnSetTensor4dDescriptor(y_.get(), CUDNN_TENSOR_NHWC, type, n(s.N),
                                                       n(s.K), n(s.P), n(s.Q))) &&
        UNDERSTUDY_ACCEPTED(cudnnSetFilter4dDescriptor(w_.get(), type, CUDNN_TENSOR_NHWC, n(s.K),
                                                       n(s.C), n(s.R), n(s.S))) &&
        UNDERSTUDY_ACCEPTED(cudnnSetConvolution2dDescriptor(
            conv_.get(), n(c.padding.height), n(c.padding.width), n(c.stride.height),
            n(c.stride.width), n(c.dilation.height), n(c.dilation.width), CUDNN_CROSS_CORRELATION,
            CUDNN_DATA_FLOAT)) &&
        UNDERSTUDY_ACCEPTED(cudnnSetConvolutionMathType(conv_.get(), math_of(problem_.precision)));
    return described && find_offers() && !offers_.empty();
  }

  const std::vector<ConvOffer>& offers() const override { return offers_; }

  bool run(const ConvOffer& offer, const void* a, const void* b, void* out,
           void* workspace) override {
    set_math(offer);
    const float one = 1, none = 0;
    switch (problem_.pass) {
      case ConvPass::forward:
        return UNDERSTUDY_ACCEPTED(
            cudnnConvolutionForward(handle_, &one, x_.get(), a, w_.get(), b, conv_.get(),
                                    static_cast<cudnnConvolutionFwdAlgo_t>(offer.algorithm),
                                    workspace, offer.workspace, &none, y_.get(), out));
      case ConvPass::input_gradient:
        return UNDERSTUDY_ACCEPTED(cudnnConvolutionBackwardData(
            handle_, &one, w_.get(), b, y_.get(), a, conv_.get(),
            static_cast<cudnnConvolutionBwdDataAlgo_t>(offer.algorithm), workspace, offer.workspace,
            &none, x_.get(), out));
      case ConvPass::weight_gradient:
        return UNDERSTUDY_ACCEPTED(cudnnConvolutionBackwardFilter(
            handle_, &one, x_.get(), b, y_.get(), a, conv_.get(),
            static_cast<cudnnConvolutionBwdFilterAlgo_t>(offer.algorithm), workspace,
            offer.workspace, &none, w_.get(), out));
    }
    return false;
  }

  bool run_fused(const ConvOffer& offer, const void* x, const void* w, void* y, float alpha,
                 const float* bias, const float* residual, void* workspace) override {
    const Tensor bias_shape;
    const Activation relu;
    const bool described = UNDERSTUDY_ACCEPTED(cudnnSetTensor4dDescriptor(
                               bias_shape.get(), CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1,
                               static_cast<int>(problem_.shape.K), 1, 1)) &&
                           UNDERSTUDY_ACCEPTED(cudnnSetActivationDescriptor(
                               relu.get(), CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
    if (!described) return false;
    set_math(offer);
    // The residual is always read, so where there is none it is y, times 0.
    const float keep = residual == nullptr ? 0.0f : 1.0f;
    return UNDERSTUDY_ACCEPTED(cudnnConvolutionBiasActivationForward(
        handle_, &alpha, x_.get(), x, w_.get(), w, conv_.get(),
        static_cast<cudnnConvolutionFwdAlgo_t>(offer.algorithm), workspace, offer.workspace, &keep,
        y_.get(), residual == nullptr ? y : residual, bias_shape.get(), bias, relu.get(), y_.get(),
        y));
  }

 private:
  void set_math(const ConvOffer& offer) {
    UNDERSTUDY_CUDNN_CALL(
        cudnnSetConvolutionMathType(conv_.get(), static_cast<cudnnMathType_t>(offer.math)));
  }

  bool find_offers() {
    constexpr int most = 32;  // of some 8 algorithms, with one or two maths each
    int count = 0;
    switch (problem_.pass) {
      case ConvPass::forward: {
        cudnnConvolutionFwdAlgoPerf_t found[most];
        return UNDERSTUDY_ACCEPTED(cudnnGetConvolutionForwardAlgorithm_v7(
                   handle_, x_.get(), w_.get(), conv_.get(), y_.get(), most, &count, found)) &&
               take(found, count);
      }
      case ConvPass::input_gradient: {
        cudnnConvolutionBwdDataAlgoPerf_t found[most];
        return UNDERSTUDY_ACCEPTED(cudnnGetConvolutionBackwardDataAlgorithm_v7(
                   handle_, w_.get(), y_.get(), conv_.get(), x_.get(), most, &count, found)) &&
               take(found, count);
      }
      case ConvPass::weight_gradient: {
        cudnnConvolutionBwdFilterAlgoPerf_t found[most];
        return UNDERSTUDY_ACCEPTED(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                   handle_, x_.get(), y_.get(), conv_.get(), w_.get(), most, &count, found)) &&
               take(found, count);
      }
    }
    return false;
  }

  template <class Performance>
  bool take(const Performance* found, int count) {
    for (const Performance& p : std::span(found, static_cast<std::size_t>(count))) {
      if (p.status != CUDNN_STATUS_SUCCESS) continue;
      if (problem_.deterministic && p.determinism != CUDNN_DETERMINISTIC) continue;
      // With FMA_MATH asked for, versions answer DEFAULT_MATH or FMA_MATH and mean the same.
      const cudnnMathType_t math =
          problem_.precision == Precision::fp32 ? CUDNN_FMA_MATH : p.mathType;
      if (!allows(problem_.precision, math)) continue;
      ConvOffer offer{static_cast<int>(p.algo), static_cast<int>(math), 0};
      const auto same = [&](const ConvOffer& other) {
        return other.algorithm == offer.algorithm && other.math == offer.math;
      };
      if (std::any_of(offers_.begin(), offers_.end(), same)) continue;
      set_math(offer);
      if (workspace_of(p.algo, offer.workspace)) offers_.push_back(offer);
    }
    return true;
  }
  bool workspace_of(cudnnConvolutionFwdAlgo_t algorithm, std::size_t& bytes) {
    return UNDERSTUDY_ACCEPTED(cudnnGetConvolutionForwardWorkspaceSize(
        handle_, x_.get(), w_.get(), conv_.get(), y_.get(), algorithm, &bytes));
  }
  bool workspace_of(cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t& bytes) {
    return UNDERSTUDY_ACCEPTED(cudnnGetConvolutionBackwardDataWorkspaceSize(
        handle_, w_.get(), y_.get(), conv_.get(), x_.get(), algorithm, &bytes));
  }
  bool workspace_of(cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t& bytes) {
    return UNDERSTUDY_ACCEPTED(cudnnGetConvolutionBackwardFilterWorkspaceSize(
        handle_, x_.get(), y_.get(), conv_.get(), w_.get(), algorithm, &bytes));
  }

  cudnnHandle_t handle_;
  ConvProblem problem_;
  Tensor x_, y_;
  Filter w_;
  Convolution conv_;
  std::vector<ConvOffer> offers_;
};

class Cudnn final : public ConvLibrary {
 public:
  explicit Cudnn(const Stream& stream) {
    UNDERSTUDY_CUDNN_CALL(cudnnSetStream(handle_.get(), stream.use()));
  }
  std::string describe() const override {
    const std::size_t version = cudnnGetVersion();
    return fmt::format("cuDNN {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  }
  std::unique_ptr<LibraryConv> prepare(const ConvProblem& problem) override {
    auto conv = std::make_unique<CudnnConv>(handle_.get(), problem);
    return conv->prepare() ? std::move(conv) : nullptr;
  }

 private:
  Handle handle_;
};

}  // namespace

std::unique_ptr<ConvLibrary> make_cudnn(const Stream& stream) {
  static_cast<void>(stream.use());  // the handle is made for the current device
  return std::make_unique<Cudnn>(stream);
}

}  // namespace understudy::cuda
