#include "engine/tensor.h"

#include "engine/ops.h"
#include "engine/tensor_body.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

const TensorBody& body_of(const Tensor& tensor) {
  check(tensor.defined(), "an undefined tensor was used");
  return *tensor.body();
}

void* start_of(const TensorBody& body) {
  return static_cast<std::byte*>(body.storage->data()) +
         static_cast<std::size_t>(body.offset) * size_of(body.dtype);
}

}  // namespace

Tensor::Tensor(Ref<TensorBody> body) : body_(std::move(body)) {}
TensorBody* Tensor::body() const { return body_.get(); }

// ---- making one ----

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  check_shape("empty", shape);
  const std::int64_t count = shape.count();
  Ref<TensorBody> body(new TensorBody);
  body->storage =
      Ref<Storage>(new Storage(device, static_cast<std::size_t>(count) * size_of(dtype)));
  body->shape = shape;
  body->strides = contiguous_strides(shape);
  body->dtype = dtype;
  return Tensor(std::move(body));
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor out = empty(shape, dtype, device);
  out.fill_(value);
  return out;
}
Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  return full(shape, 0, dtype, device);
}
Tensor Tensor::ones(const Shape& shape, DType dtype, Device device) {
  return full(shape, 1, dtype, device);
}

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  Tensor out = empty(shape, dtype_of<T>, device);
  check(static_cast<std::int64_t>(values.size()) == shape.count(),
        "{} values do not fill a tensor of shape {}", values.size(), shape);
  if (!values.empty())
    backend(device).from_host(start_of(*out.body_), values.data(), values.size_bytes());
  return out;
}

Tensor Tensor::arange(std::int64_t count, DType dtype, Device device) {
  Tensor out = empty({count}, DType::i64);
  auto values = out.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = i;
  return to(cast(out, dtype), device);
}

// ---- looking at it ----

const Shape& Tensor::shape() const { return body_of(*this).shape; }
const Strides& Tensor::strides() const { return body_of(*this).strides; }
std::int64_t Tensor::size(int axis) const { return shape()[normalize_axis("size", axis, rank())]; }
DType Tensor::dtype() const { return body_of(*this).dtype; }
Device Tensor::device() const { return body_of(*this).storage->device(); }
bool Tensor::is_contiguous() const {
  const TensorBody& body = body_of(*this);
  return understudy::is_contiguous(body.shape, body.strides);
}

template <class T>
std::span<const T> Tensor::data() const {
  const TensorBody& body = body_of(*this);
  check(body.dtype == dtype_of<T>, "[data] the tensor holds {}, asked for {}", body.dtype,
        dtype_of<T>);
  check(device() == Device{}, "[data] the tensor is on {}; copy it with to(x, Device{{}}) first",
        device());
  check(is_contiguous(), "[data] the tensor of shape {} is strided; use contiguous(x)", body.shape);
  return {static_cast<const T*>(start_of(body)), static_cast<std::size_t>(body.shape.count())};
}

template <class T>
std::span<T> Tensor::mutable_data() {
  const std::span<const T> values = data<T>();
  body_->storage->bump_version();
  return {const_cast<T*>(values.data()), values.size()};
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  NoGradGuard no_grad;
  const Tensor here = contiguous(to(cast(*this, dtype_of<T>), Device{}));
  const std::span<const T> values = here.data<T>();
  return {values.begin(), values.end()};
}

double Tensor::item() const {
  check(count() == 1, "[item] a tensor of shape {} has {} elements, not one", shape(), count());
  return to_vector<double>()[0];
}

#define UNDERSTUDY_ELEMENT(T)                                                \
  template Tensor Tensor::from<T>(std::span<const T>, const Shape&, Device); \
  template std::span<const T> Tensor::data<T>() const;                       \
  template std::span<T> Tensor::mutable_data<T>();                           \
  template std::vector<T> Tensor::to_vector<T>() const;
UNDERSTUDY_ELEMENT(float)
UNDERSTUDY_ELEMENT(double)
UNDERSTUDY_ELEMENT(std::uint8_t)
UNDERSTUDY_ELEMENT(std::int32_t)
UNDERSTUDY_ELEMENT(std::int64_t)
#undef UNDERSTUDY_ELEMENT

// ---- views ----

ConstView Tensor::view() const {
  const TensorBody& body = body_of(*this);
  return {start_of(body), body.dtype, body.shape, body.strides};
}

View Tensor::mutable_view() {
  const TensorBody& body = body_of(*this);
  body.storage->bump_version();
  return {start_of(body), body.dtype, body.shape, body.strides};
}

Tensor Tensor::alias(const Shape& shape, const Strides& strides, std::int64_t offset) const {
  const TensorBody& body = body_of(*this);
  Ref<TensorBody> other(new TensorBody);
  other->storage = body.storage;
  other->shape = shape;
  other->strides = strides;
  other->offset = body.offset + offset;
  other->dtype = body.dtype;
  return Tensor(std::move(other));
}

std::uint32_t Tensor::version() const { return body_of(*this).storage->version(); }
bool Tensor::owns_storage_alone() const { return body_.unique() && body_->storage.unique(); }

// ---- in place ----

namespace {
void check_in_place(const char* op, const Tensor& x) {
  check(!recording() || !x.requires_grad(),
        "[{}] this tensor requires a gradient and cannot be changed in place while ops are being "
        "recorded; use a NoGradGuard",
        op);
  if (x.count() == 0) return;
  for (int i = 0; i < x.rank(); ++i)
    check(
        x.shape()[i] == 1 || x.strides()[i] != 0,
        "[{}] this tensor of shape {} repeats its elements along axis {} and cannot be changed in "
        "place; use clone(x)",
        op, x.shape(), i);
}
}  // namespace

Tensor& Tensor::fill_(double value) {
  check_in_place("fill_", *this);
  backend(device()).fill(mutable_view(), value);
  return *this;
}

Tensor& Tensor::copy_(const Tensor& source) {
  check_in_place("copy_", *this);
  check(shape() == source.shape(), "[copy_] {} into {}: the shapes differ", source.shape(),
        shape());
  NoGradGuard no_grad;
  Tensor here = to(source, device());
  // Two views of the same elements, e.g. x[1:] and x[:-1]: what is read must not be overwritten.
  if (here.body_->storage.get() == body_->storage.get()) here = clone(here);
  backend(device()).copy(mutable_view(), here.view());
  return *this;
}

// ---- gradients ----

bool Tensor::requires_grad() const { return body_of(*this).requires_grad; }
bool Tensor::is_leaf() const { return !body_of(*this).producer; }

Tensor& Tensor::set_requires_grad(bool value) {
  check(is_leaf(),
        "[set_requires_grad] only a leaf can be changed, and this tensor is the result "
        "of '{}'; use detach()",
        is_leaf() ? "" : body_->producer->op);
  check(!value || is_floating(dtype()), "[set_requires_grad] a tensor of {} has no gradient",
        dtype());
  body_->requires_grad = value;
  return *this;
}

const Tensor& Tensor::grad() const { return body_of(*this).gradient; }

void Tensor::set_grad(const Tensor& grad) {
  if (!grad.defined()) {
    if (defined()) body_->gradient = {};
    return;
  }
  check(grad.shape() == shape() && grad.dtype() == dtype() && grad.device() == device(),
        "[set_grad] the gradient of a tensor {} of {} on {} must be like it, found {} of {} on {}",
        shape(), dtype(), device(), grad.shape(), grad.dtype(), grad.device());
  NoGradGuard no_grad;
  body_->gradient = contiguous(grad).detach();
}

Tensor Tensor::detach() const { return alias(shape(), strides()); }

}  // namespace understudy
