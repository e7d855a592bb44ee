// The Backend of the CPU. Each family of functions has a file of its name in this folder; those
// resolve shapes, strides and threads, and call the loops of loops/.
#pragma once

#include "kernels/backend.h"

namespace understudy::cpu {

class CpuBackend final : public Backend {
 public:
  // isa.cpp
  std::string describe() override;
  void set_numerics(const Numerics& numerics) override;  // fp32 alone
  Numerics numerics() const override { return {}; }

  bool can_record() const override { return false; }
  void begin_recording() override;
  std::unique_ptr<RecordedWork> end_recording() override;

  // memory.cpp
  DeviceMemory memory() override;
  void* allocate(std::size_t bytes) override;
  void release(void* memory, std::size_t bytes) noexcept override;
  void to_host(void* host, const void* device, std::size_t bytes) override;
  void from_host(void* device, const void* host, std::size_t bytes) override;
  void synchronize() override {}

  // move.cpp
  void fill(const View& out, double value) override;
  void copy(const View& out, const ConstView& in) override;
  void gather_rows(const View& out, const ConstView& in, const ConstView& index) override;
  void scatter_add_rows(const View& out, const ConstView& rows, const ConstView& index) override;
  void gather_images(const View& out, const ConstView& in, const ConstView& index,
                     const ConstView* placement, std::span<const float> mean,
                     std::span<const float> std) override;

  // pointwise.cpp
  void unary(Unary op, const View& out, const ConstView& x, double p) override;
  void unary_backward(Unary op, const View& dx, const ConstView& dy, const ConstView& x,
                      const ConstView& y, double p) override;
  void binary(Binary op, const View& out, const ConstView& a, const ConstView& b) override;
  void binary_backward(Binary op, int side, const View& d, const ConstView& dy, const ConstView& a,
                       const ConstView& b) override;
  void where(const View& out, const ConstView& condition, const ConstView& a,
             const ConstView& b) override;

  // reduce.cpp
  void reduce(Reduction op, const View& out, const ConstView& in) override;

  // rows.cpp
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

  // norm.cpp
  void channel_statistics(const View& mean, const View& variance, const ConstView& x) override;
  void batch_norm(const View& y, const ConstView& x, const Normalization& norm,
                  const ConstView* residual) override;
  void batch_norm_backward(const NormalizationGradients& d, const ConstView& dy, const ConstView& x,
                           const ConstView* y, const Normalization& norm, bool of_batch) override;

  // pool.cpp
  void pool2d(Pooling op, const View& y, const ConstView& x, const Pool2d& pool) override;
  void pool2d_backward(Pooling op, const View& dx, const ConstView& dy, const ConstView& x,
                       const ConstView& y, const Pool2d& pool) override;

  // optimizer.cpp
  void sgd(DType dtype, std::span<const SgdSlot> slots, const SgdStep* step) override;
  void adam(DType dtype, std::span<const AdamSlot> slots, const AdamStep* step) override;

  // random.cpp
  void uniform(const View& out, PhiloxKey key, std::uint64_t first, double low,
               double high) override;
  void normal(const View& out, PhiloxKey key, std::uint64_t first, double mean,
              double std) override;
};

}  // namespace understudy::cpu
