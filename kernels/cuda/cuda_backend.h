// The Backend of an NVIDIA GPU. Each family of functions has a file of its name in this folder, as in
// cpu/; .cu where there is device code in it.
//
// Everything goes into one stream, in the order of the calls, so memory that is released may be used
// again at once. Sums are made in an order that depends on shapes alone, without atomics: unless
// numerics() allow otherwise, the same call gives the same bits within a process, for memory of the
// same alignment. One thread at a time: all calls share one working memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/staging.h"

namespace understudy::cuda {

class Convolutions;  // convolution.h: cuDNN and our own kernels, and which of them for which shape
class Products;      // products.h: cuBLASLt

class CudaBackend;

// Working memory of the op under way; the next op in the stream may overwrite it. It grows and never
// moves or shrinks, since recorded work may use it: what was outgrown is kept.
class Workspace {
 public:
  explicit Workspace(CudaBackend& backend) : backend_(backend) {}
  void* get(std::size_t bytes);  // 256-byte aligned
  template <class T>
  T* get(std::int64_t count) {
    return static_cast<T*>(get(static_cast<std::size_t>(count) * sizeof(T)));
  }

 private:
  struct Free {
    CudaBackend* backend;
    std::size_t bytes;
    void operator()(void* memory) const;
  };
  CudaBackend& backend_;
  std::vector<std::unique_ptr<void, Free>> blocks_;  // the last is the largest
  std::size_t bytes_ = 0;
};

class CudaBackend final : public Backend {
 public:
  // Error where there is no device of that number, or one too old.
  explicit CudaBackend(int device);
  ~CudaBackend() override;

  // cuda_backend.cpp
  std::string describe() override;
  void set_numerics(const Numerics& numerics) override;
  Numerics numerics() const override { return numerics_; }

  // recording.cpp
  bool can_record() const override { return true; }
  void begin_recording() override;
  std::unique_ptr<RecordedWork> end_recording() override;

  // memory.cpp
  DeviceMemory memory() override;
  void* allocate(std::size_t bytes) override;
  void release(void* memory, std::size_t bytes) noexcept override;
  void to_host(void* host, const void* device, std::size_t bytes) override;
  void from_host(void* device, const void* host, std::size_t bytes) override;
  void synchronize() override;

  // move.cu
  void fill(const View& out, double value) override;
  void copy(const View& out, const ConstView& in) override;

  // gather.cu
  void gather_rows(const View& out, const ConstView& in, const ConstView& index) override;
  void scatter_add_rows(const View& out, const ConstView& rows, const ConstView& index) override;
  void gather_images(const View& out, const ConstView& in, const ConstView& index,
                     const ConstView* placement, std::span<const float> mean,
                     std::span<const float> std) override;

  // pointwise.cu
  void unary(Unary op, const View& out, const ConstView& x, double p) override;
  void unary_backward(Unary op, const View& dx, const ConstView& dy, const ConstView& x,
                      const ConstView& y, double p) override;
  void binary(Binary op, const View& out, const ConstView& a, const ConstView& b) override;
  void binary_backward(Binary op, int side, const View& d, const ConstView& dy, const ConstView& a,
                       const ConstView& b) override;
  void where(const View& out, const ConstView& condition, const ConstView& a,
             const ConstView& b) override;

  // reduce.cu
  void reduce(Reduction op, const View& out, const ConstView& in) override;

  // rows.cu
  void argmax(const View& out, const ConstView& in) override;
  void softmax(const View& out, const ConstView& x) override;
  void softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) override;
  void log_softmax(const View& out, const ConstView& x) override;
  void log_softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) override;
  void cross_entropy(const View& loss, const View& probability, const ConstView& x,
                     const ConstView& label) override;
  void cross_entropy_backward(const View& dx, const ConstView& dloss, const ConstView& probability,
                              const ConstView& label) override;

  // matmul.cpp, solve.cpp
  void matmul(const View& out, const ConstView& a, const ConstView& b,
              const Epilogue& epilogue) override;
  bool solve_spd(const View& a, const View& b) override;

  // conv.cpp
  void conv2d(const View& y, const ConstView& x, const ConstView& w, const Conv2d& conv,
              const ConvEpilogue& epilogue) override;
  void conv2d_input_gradient(const View& dx, const ConstView& dy, const ConstView& w,
                             const Conv2d& conv) override;
  void conv2d_weight_gradient(const View& dw, const ConstView& dy, const ConstView& x,
                              const Conv2d& conv) override;

  // conv_squares.cpp
  void conv2d_squared_weight_gradients(const View& sums, std::span<const ConstView> dy,
                                       const ConstView& x, const Conv2d& conv) override;

  // norm.cu, norm_backward.cu
  void channel_statistics(const View& mean, const View& variance, const ConstView& x) override;
  void batch_norm(const View& y, const ConstView& x, const Normalization& norm,
                  const ConstView* residual) override;
  void batch_norm_backward(const NormalizationGradients& d, const ConstView& dy, const ConstView& x,
                           const ConstView* y, const Normalization& norm, bool of_batch) override;

  // pool.cu
  void pool2d(Pooling op, const View& y, const ConstView& x, const Pool2d& pool) override;
  void pool2d_backward(Pooling op, const View& dx, const ConstView& dy, const ConstView& x,
                       const ConstView& y, const Pool2d& pool) override;

  // optimizer.cu
  void sgd(DType dtype, std::span<const SgdSlot> slots, const SgdStep* step) override;
  void adam(DType dtype, std::span<const AdamSlot> slots, const AdamStep* step) override;

  // random.cu
  void uniform(const View& out, PhiloxKey key, std::uint64_t first, double low,
               double high) override;
  void normal(const View& out, PhiloxKey key, std::uint64_t first, double mean,
              double std) override;

 private:
  // Error "[op] reads values of the device while ..." while the stream records.
  void check_not_recording(const char* what) const;

  Stream stream_;
  Stream memory_stream_;  // where blocks are taken and given back
  bool memory_pools_;     // whether this GPU takes them in the order of a stream
  Event before_recording_;
  Numerics numerics_;
  Staging staging_;
  Workspace workspace_{*this};
  std::unique_ptr<Products> products_;
  std::unique_ptr<Convolutions> convolutions_;
};

// How many GPUs this process sees; 0 with the reason in `why_none`.
int device_count(std::string* why_none = nullptr);

}  // namespace understudy::cuda
