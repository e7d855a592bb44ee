// A strided, typed array on a device, with an optional gradient. Copying a Tensor copies a handle;
// the elements are shared. Images are NHWC.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/shape.h"
#include "engine/storage.h"
#include "kernels/device.h"
#include "kernels/view.h"

namespace understudy {

struct TensorBody;

// What becomes of the ops that a backward pass went through. Those that are kept hold on to what
// they saved, and another pass, from another seed, may go through them.
enum class AfterBackward { free_graph, keep_graph };

class Tensor {
 public:
  Tensor() = default;  // undefined: no elements, no shape

  // ---- making one ----
  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                     Device device = {});
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor ones(const Shape& shape, DType dtype = DType::f32, Device device = {});
  // Copies host values; values.size() must be shape.count().
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape, Device device = {});
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = {}) {
    return from(std::span<const T>(values), shape, device);
  }
  static Tensor arange(std::int64_t count, DType dtype = DType::i64, Device device = {});

  // ---- looking at it ----
  bool defined() const { return static_cast<bool>(body_); }
  const Shape& shape() const;
  const Strides& strides() const;
  int rank() const { return shape().rank(); }
  std::int64_t size(int axis) const;  // negative axes count from the end
  std::int64_t count() const { return shape().count(); }
  DType dtype() const;
  Device device() const;
  bool is_contiguous() const;

  // The elements of a dense CPU tensor. Error when T is not its dtype, or it is
  // strided or elsewhere.
  template <class T>
  std::span<const T> data() const;
  // The same for writing; counts as an in-place change.
  template <class T>
  std::span<T> mutable_data();
  // Every element in row-major order, from any device and any strides.
  template <class T>
  std::vector<T> to_vector() const;
  // The value of a tensor of one element, converted.
  double item() const;

  // ---- views for kernels ----
  ConstView view() const;
  View mutable_view();  // counts as an in-place change
  // Another tensor over the same storage; no gradient flows. `offset` in elements,
  // from this one's start.
  Tensor alias(const Shape& shape, const Strides& strides, std::int64_t offset = 0) const;
  // Changes so far of the storage, seen through any tensor.
  std::uint32_t version() const;
  // True when no other handle or tensor can see the storage.
  bool owns_storage_alone() const;

  // ---- in place (never recorded) ----
  // Error on a tensor that gradients are being recorded through.
  Tensor& fill_(double value);
  Tensor& copy_(const Tensor& source);  // same shape; converts dtype and device

  // ---- gradients (engine/autograd.h) ----
  bool requires_grad() const;
  // Only for leaves of a floating dtype. `false` freezes a parameter.
  Tensor& set_requires_grad(bool value);
  bool is_leaf() const;        // not the result of a recorded op
  const Tensor& grad() const;  // undefined until backward() reaches it
  // Undefined clears it. It is kept dense, and shares the elements of a `grad` that is.
  void set_grad(const Tensor& grad);
  void clear_grad() { set_grad({}); }
  // Gradients of this one-element tensor, added to .grad() of every leaf that requires one.
  void backward() const;
  // seed: dL/dthis, this one's shape.
  void backward(const Tensor& seed, AfterBackward after = AfterBackward::free_graph) const;
  // The same elements, cut off from the graph.
  Tensor detach() const;

  TensorBody* body() const;  // for autograd

 private:
  explicit Tensor(Ref<TensorBody> body);
  Ref<TensorBody> body_;
};

}  // namespace understudy
