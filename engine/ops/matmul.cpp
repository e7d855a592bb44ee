// Products: matrix product, the fused linear layer, and the positive definite solve.
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

void check_product_types(const char* op, const Tensor& a, const Tensor& b) {
  check(is_floating(a.dtype()) && a.dtype() == b.dtype() && a.device() == b.device(),
        "[{}] needs two floating tensors of one type and device, found {} on {} and {} on {}", op,
        a.dtype(), a.device(), b.dtype(), b.device());
}

ConstView matrix(const Tensor& x, std::int64_t offset) {
  const int r = x.rank();
  return x
      .alias({x.shape()[r - 2], x.shape()[r - 1]}, {x.strides()[r - 2], x.strides()[r - 1]}, offset)
      .view();
}

// The offset of the i-th matrix of a batch whose leading axes look like `batch`.
std::int64_t batch_offset(const Strides& strides, const Shape& batch, std::int64_t i) {
  std::int64_t offset = 0;
  for (int axis = batch.rank() - 1; axis >= 0; --axis) {
    offset += i % batch[axis] * strides[axis];
    i /= batch[axis];
  }
  return offset;
}

Shape leading(const Shape& shape) {
  Shape out;
  for (int i = 0; i < shape.rank() - 2; ++i) out.push_back(shape[i]);
  return out;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  const ProfileScope scope("matmul");
  check_product_types("matmul", a, b);
  check(a.rank() >= 2 && b.rank() >= 2, "[matmul] {} x {}: both need at least two axes", a.shape(),
        b.shape());
  const std::int64_t M = a.size(-2), K = a.size(-1), N = b.size(-1);
  check(K == b.size(-2), "[matmul] {} x {}: inner sizes {} and {} differ", a.shape(), b.shape(), K,
        b.size(-2));
  const Shape a_leading = leading(a.shape()), b_leading = leading(b.shape());
  check(broadcasts(a_leading, b_leading),
        "[matmul] {} x {}: batch sizes {} and {} do not broadcast", a.shape(), b.shape(), a_leading,
        b_leading);
  const Shape batch = broadcast("matmul", a_leading, b_leading);
  const Strides a_batch = broadcast_strides(a_leading, leading(a.strides()), batch);
  const Strides b_batch = broadcast_strides(b_leading, leading(b.strides()), batch);
  Shape shape = batch;
  shape.push_back(M);
  shape.push_back(N);
  Tensor out = Tensor::empty(shape, a.dtype(), a.device());
  for (std::int64_t i = 0; i < batch.count(); ++i) {
    View y = out.alias({M, N}, {N, 1}, i * M * N).mutable_view();
    backend(a.device())
        .matmul(y, matrix(a, batch_offset(a_batch, batch, i)),
                matrix(b, batch_offset(b_batch, batch, i)), {});
  }
  return record("matmul", out, {a, b},
                [sa = Saved(a), sb = Saved(b)](const Tensor& dy, Wanted wanted) {
                  return Gradients{wanted[0] ? matmul(dy, transpose(sb.get("matmul"))) : Tensor(),
                                   wanted[1] ? matmul(transpose(sa.get("matmul")), dy) : Tensor()};
                });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation) {
  const ProfileScope scope("linear");
  check_product_types("linear", x, weight);
  check(x.rank() >= 1 && weight.rank() == 2,
        "[linear] {} x {}ᵀ: needs (..., in) and a weight (out, in)", x.shape(), weight.shape());
  const std::int64_t K = weight.size(1), N = weight.size(0);
  check(x.size(-1) == K, "[linear] {} x {}ᵀ: inner sizes {} and {} differ", x.shape(),
        weight.shape(), x.size(-1), K);
  if (bias.defined()) {
    check_product_types("linear", x, bias);
    check(bias.shape() == Shape{N}, "[linear] the bias has shape {}, expected {}", bias.shape(),
          Shape{N});
  }
  Shape shape = x.shape();
  shape.pop_back();
  const std::int64_t M = shape.count();
  shape.push_back(N);
  const Tensor rows = x.rank() == 2 ? x : reshape(x, {M, K});
  const bool with_relu = activation == Activation::relu;

  Tensor y = Tensor::empty({M, N}, x.dtype(), x.device());
  const Tensor dense_bias = bias.defined() ? contiguous(bias) : Tensor();
  const ConstView bias_view = bias.defined() ? dense_bias.view() : ConstView();
  backend(x.device())
      .matmul(y.mutable_view(), rows.view(),
              weight.alias({K, N}, {weight.strides()[1], weight.strides()[0]}).view(),
              {.bias = bias.defined() ? &bias_view : nullptr, .relu = with_relu});
  y = record("linear", y, {rows, weight, bias},
             [sx = Saved(rows), sw = Saved(weight), sy = with_relu ? Saved(y) : Saved()](
                 const Tensor& dout, Wanted wanted) {
               const Tensor& y = sy.get("linear");
               Tensor dy = dout;
               if (y.defined()) {
                 dy = Tensor::empty(dout.shape(), dout.dtype(), dout.device());
                 backend(dy.device())
                     .unary_backward(Unary::relu, dy.mutable_view(), dout.view(), {}, y.view(), 0);
               }
               return Gradients{wanted[0] ? matmul(dy, sw.get("linear")) : Tensor(),
                                wanted[1] ? matmul(transpose(dy), sx.get("linear")) : Tensor(),
                                wanted[2] ? sum(dy, {0}) : Tensor()};
             });
  return x.rank() == 2 ? y : reshape(y, shape);
}

Tensor solve_spd(const Tensor& a, const Tensor& b) {
  const ProfileScope scope("solve_spd");
  check_product_types("solve_spd", a, b);
  check(a.rank() == 2 && b.rank() == 2 && a.size(0) == a.size(1) && a.size(0) == b.size(0),
        "[solve_spd] {} x X = {}: needs (n,n) and (n,m)", a.shape(), b.shape());
  NoGradGuard no_grad;
  Tensor factor = clone(cast(a, DType::f64));
  Tensor x = clone(cast(b, DType::f64));
  check(backend(a.device()).solve_spd(factor.mutable_view(), x.mutable_view()),
        "[solve_spd] the matrix of shape {} is not positive definite; add a ridge to its diagonal",
        a.shape());
  return cast(x, b.dtype());
}

}  // namespace understudy
