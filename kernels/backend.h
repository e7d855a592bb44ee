// The one contract between the engine and a device. A backend is pure numeric functions on views;
// it knows nothing of Tensor or autograd, and it trusts its arguments: shapes are checked once, at
// the public op, and every function here states what it may assume.
//
// Unless a line says otherwise: T is float or double, all floating views of a call share it, and
// `out` never overlaps an input except exactly (same pointer, same strides).
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/conv2d.h"
#include "kernels/device.h"
#include "kernels/elementwise.h"
#include "kernels/numerics.h"
#include "kernels/philox.h"
#include "kernels/pool2d.h"
#include "kernels/update_rules.h"
#include "kernels/view.h"

namespace understudy {

enum class Reduction : std::uint8_t { sum, max };

// What a product does to its result while it is still in cache: + bias (N), then ReLU.
struct Epilogue {
  const ConstView* bias = nullptr;  // (N), dense; null for none
  bool relu = false;
  bool accumulate = false;  // out += instead of out =
};

// What a convolution does to its result while it is still in cache, in this order: · scale (K),
// + bias (K), + residual (N, P, Q, K), ReLU. All dense; null for none.
struct ConvEpilogue {
  const ConstView* scale = nullptr;
  const ConstView* bias = nullptr;
  const ConstView* residual = nullptr;
  bool relu = false;
};

// Batch norm (Ioffe and Szegedy 2015) with its constants by channel:
// y = weight · (x - mean) / √(variance + eps) + bias + residual, then ReLU. All (C) and dense.
struct Normalization {
  ConstView mean, variance, weight, bias;
  double eps = 1e-5;
  bool relu = false;
};
// Null where none is wanted. Without ReLU the residual's gradient is dy, and not asked for here.
struct NormalizationGradients {
  const View* dx = nullptr;         // like x
  const View* dweight = nullptr;    // (C)
  const View* dbias = nullptr;      // (C)
  const View* dresidual = nullptr;  // like x
};

// One parameter p with its gradient g as the fused optimisers see them; all dense, `count` elements
// of T. The update rules are in update_rules.h.
struct SgdSlot {
  void* parameter;
  const void* gradient;
  void* momentum;  // null when momentum == 0
  std::int64_t count;
};
struct AdamSlot {
  void* parameter;
  const void* gradient;
  void* mean;      // first moment m
  void* variance;  // second moment v
  std::int64_t count;
};

// A device's memory as it is now, in bytes, by all that use it.
struct DeviceMemory {
  std::size_t free, total;
};

// Work that was recorded on a device. It reads and writes the memory that it was recorded with,
// which must still be there.
class RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  virtual void run() = 0;  // in the order of everything else on the device
};

class Backend {
 public:
  virtual ~Backend() = default;

  // ---- the device ----
  virtual std::string describe() = 0;  // its name and the versions that results depend on
  // Error for what the device cannot do. Not while other threads compute.
  virtual void set_numerics(const Numerics& numerics) = 0;
  virtual Numerics numerics() const = 0;

  // ---- work that is recorded once and repeated ----
  // Whether this device can. Where it cannot, nobody calls the other two.
  virtual bool can_record() const = 0;
  // From here to end_recording() what this thread calls is not done but recorded. Reading or writing
  // host memory in between is an Error. When an exception ends the work, end_recording() ends the
  // recording, too; what it returns is then thrown away, and may be null.
  virtual void begin_recording() = 0;
  virtual std::unique_ptr<RecordedWork> end_recording() = 0;

  // ---- memory ----
  virtual DeviceMemory memory() = 0;
  virtual void* allocate(std::size_t bytes) = 0;  // 64-byte aligned; Error when there is none
  virtual void release(void* memory, std::size_t bytes) noexcept = 0;
  virtual void to_host(void* host, const void* device, std::size_t bytes) = 0;
  virtual void from_host(void* device, const void* host, std::size_t bytes) = 0;
  virtual void synchronize() = 0;

  // ---- moving data ----
  virtual void fill(const View& out, double value) = 0;  // any dtype
  // Same shape; any strides; converts between any two dtypes. Floating to integer truncates; what
  // does not fit becomes the nearest integer that does, NaN becomes 0.
  virtual void copy(const View& out, const ConstView& in) = 0;
  // out[i, ...] = in[index[i], ...]. out and in dense, same dtype (any); index i64 (I), in range.
  virtual void gather_rows(const View& out, const ConstView& in, const ConstView& index) = 0;
  // out[index[i], ...] += rows[i, ...], in the order of i. Dense floats.
  virtual void scatter_add_rows(const View& out, const ConstView& rows, const ConstView& index) = 0;
  // out[i, y, x, c] = (pixel · 1/255 - mean[c]) / std[c]. in: u8 (M, H, W, C), C <= 64; out:
  // (I, H, W, C), dense. The pixel is in[index[i], y, x, c] or, with `placement` i32 (I, 3) of
  // (dy, dx, flip), dense: in[index[i], y + dy, (flip ? W - 1 - x : x) + dx, c], and 0 outside.
  virtual void gather_images(const View& out, const ConstView& in, const ConstView& index,
                             const ConstView* placement, std::span<const float> mean,
                             std::span<const float> std) = 0;

  // ---- pointwise, by id; inputs may have stride 0 (broadcast) ----
  virtual void unary(Unary op, const View& out, const ConstView& x, double p) = 0;
  // dx = dy · slope(x, y, p). `x` or `y` may have null data where saves(op) says it is not read.
  virtual void unary_backward(Unary op, const View& dx, const ConstView& dy, const ConstView& x,
                              const ConstView& y, double p) = 0;
  virtual void binary(Binary op, const View& out, const ConstView& a, const ConstView& b) = 0;
  // side 0: d = dy · dvalue/da; side 1: d = dy · dvalue/db. d has the output's broadcast shape.
  virtual void binary_backward(Binary op, int side, const View& d, const ConstView& dy,
                               const ConstView& a, const ConstView& b) = 0;
  // out = condition != 0 ? a : b. condition has the dtype of out; a NaN not chosen does not spread.
  virtual void where(const View& out, const ConstView& condition, const ConstView& a,
                     const ConstView& b) = 0;

  // ---- reductions ----
  // out has the rank of `in`; an axis of size 1 in out and more in `in` is reduced. Summed in
  // double or pairwise, in an order that depends on shape and thread count alone. Max of nothing is
  // -inf; NaN counts as largest.
  virtual void reduce(Reduction op, const View& out, const ConstView& in) = 0;
  // Over the last axis; the first of equals; NaN counts as largest. out: i64 (rows); in: dense
  // (rows, C), C >= 1.
  virtual void argmax(const View& out, const ConstView& in) = 0;

  // ---- rows: x dense (rows, C) ----
  virtual void softmax(const View& out, const ConstView& x) = 0;
  virtual void softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) = 0;
  virtual void log_softmax(const View& out, const ConstView& x) = 0;
  virtual void log_softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) = 0;
  // loss[i] = -log softmax(x)[i, label[i]]; probability = softmax(x). label: i64 (rows), in range.
  virtual void cross_entropy(const View& loss, const View& probability, const ConstView& x,
                             const ConstView& label) = 0;
  // dx[i, c] = dloss[i] · (probability[i, c] - [c == label[i]]). dloss may have stride 0.
  virtual void cross_entropy_backward(const View& dx, const ConstView& dloss,
                                      const ConstView& probability, const ConstView& label) = 0;

  // ---- products ----
  // out (M, N) = a (M, K) · b (K, N), then the epilogue. out dense; a and b any strides (a
  // transpose is a stride). K = 0 gives zeros.
  virtual void matmul(const View& out, const ConstView& a, const ConstView& b,
                      const Epilogue& epilogue) = 0;
  // Solves a · x = b for symmetric positive definite a (n, n), b (n, m), dense doubles, in place of
  // b by Cholesky; `a` is overwritten. False when a is not positive definite, b then as it was.
  virtual bool solve_spd(const View& a, const View& b) = 0;

  // ---- convolution (kernels/conv2d.h); everything dense ----
  // y (N, P, Q, K) from x (N, H, W, C) and w (K, R, S, C), then the epilogue.
  virtual void conv2d(const View& y, const ConstView& x, const ConstView& w, const Conv2d& conv,
                      const ConvEpilogue& epilogue) = 0;
  // The gradients of Σ dy · conv2d(x, w) with respect to x and to w.
  virtual void conv2d_input_gradient(const View& dx, const ConstView& dy, const ConstView& w,
                                     const Conv2d& conv) = 0;
  virtual void conv2d_weight_gradient(const View& dw, const ConstView& dy, const ConstView& x,
                                      const Conv2d& conv) = 0;

  // sums (K, R, S, C): of each filter weight the sum, over all samples n and all dy, of the square
  // of that sample's gradient, (Σ over p, q of dy[n, p, q, k] · x[n, h, w, c])². At least one dy
  // (N, P, Q, K), all of one shape. Error for an algorithm that does not apply.
  virtual void conv2d_squared_weight_gradients(const View& sums, std::span<const ConstView> dy,
                                               const ConstView& x, const Conv2d& conv) = 0;

  // ---- batch norm: C is the last axis, its rows are all others; everything dense ----
  // Mean and biased variance of each column of x, summed in blocks whose sums are added in double,
  // in an order that depends on shape and thread count alone; at least one row.
  virtual void channel_statistics(const View& mean, const View& variance, const ConstView& x) = 0;
  virtual void batch_norm(const View& y, const ConstView& x, const Normalization& norm,
                          const ConstView* residual) = 0;
  // The gradients of Σ dy · batch_norm(x). `of_batch`: mean and variance are the statistics of x,
  // and dx goes through them too; otherwise they are constants. y: the result, where ReLU came
  // after a residual; null otherwise.
  virtual void batch_norm_backward(const NormalizationGradients& d, const ConstView& dy,
                                   const ConstView& x, const ConstView* y,
                                   const Normalization& norm, bool of_batch) = 0;

  // ---- pooling (kernels/pool2d.h); everything dense ----
  // y (N, P, Q, C) from x (N, H, W, C). NaN counts as largest.
  virtual void pool2d(Pooling op, const View& y, const ConstView& x, const Pool2d& pool) = 0;
  // The gradient of Σ dy · pool2d(x); of a maximum to its first pixel, row by row. x and y are read
  // for Pooling::max only, and may have null data otherwise.
  virtual void pool2d_backward(Pooling op, const View& dx, const ConstView& dy, const ConstView& x,
                               const ConstView& y, const Pool2d& pool) = 0;

  // ---- optimisers: one fused pass over all parameters; `step` is in the device's memory, so that
  // recorded work takes the values of its day ----
  virtual void sgd(DType dtype, std::span<const SgdSlot> slots, const SgdStep* step) = 0;
  virtual void adam(DType dtype, std::span<const AdamSlot> slots, const AdamStep* step) = 0;

  // ---- random numbers, into a dense `out` ----
  // Elements in order, u and v from the words w0 ... w3 of philox(key, block). A float draw has
  // four elements to a block, a double draw two: element i is in block first + i / 4 or, for
  // double, first + i / 2.
  // Uniform: low + (high - low) · u in double, then rounded to T; u = unit_float(w[i mod 4]) for
  // float, unit_double(w[2j], w[2j + 1]) with j = i mod 2 for double.
  virtual void uniform(const View& out, PhiloxKey key, std::uint64_t first, double low,
                       double high) = 0;
  // Normal, by Box and Muller in double, then rounded: elements 2j and 2j + 1 are
  // mean + std · r cos φ and mean + std · r sin φ, with r = sqrt(-2 ln u), φ = 2π v.
  // float: u = (w[a] + 1) / 2^32 and v = w[a + 1] / 2^32, a = 0 for the first pair of a block and 2
  // for the second; double: u = 1 - unit_double(w0, w1), v = unit_double(w2, w3).
  virtual void normal(const View& out, PhiloxKey key, std::uint64_t first, double mean,
                      double std) = 0;
};

// The backend of a device, made at first use. UsageError "built without CUDA" where it is not.
Backend& backend(Device device);

}  // namespace understudy
