// Pointwise ops: one line each. The formulas and their derivatives are in kernels/elementwise.h.
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

void check_floating(const char* op, const Tensor& x) {
  check(is_floating(x.dtype()), "[{}] needs float32 or float64, not {}; use cast()", op, x.dtype());
}

void check_same_kind(const char* op, const Tensor& a, const Tensor& b) {
  check_floating(op, a);
  check(a.dtype() == b.dtype(), "[{}] types {} and {} differ; use cast()", op, a.dtype(),
        b.dtype());
  check(a.device() == b.device(), "[{}] devices {} and {} differ; use to()", op, a.device(),
        b.device());
}

ConstView broadcast_view(const Tensor& x, const Shape& shape) {
  ConstView view = x.view();
  view.strides = broadcast_strides(view.shape, view.strides, shape);
  view.shape = shape;
  return view;
}

Tensor unary(Unary op, const Tensor& x, double p = 0) {
  const char* name = to_string(op);
  check_floating(name, x);
  const ProfileScope scope(name);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  backend(x.device()).unary(op, y.mutable_view(), x.view(), p);
  const Saves what = saves(op);
  return record(name, y, {x},
                [op, name, p, sx = what == Saves::input ? Saved(x) : Saved(),
                 sy = what == Saves::output ? Saved(y) : Saved()](const Tensor& dy, Wanted) {
                  const Tensor& x = sx.get(name);
                  const Tensor& y = sy.get(name);
                  Tensor dx = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
                  backend(dy.device())
                      .unary_backward(op, dx.mutable_view(), dy.view(),
                                      x.defined() ? x.view() : ConstView(),
                                      y.defined() ? y.view() : ConstView(), p);
                  return Gradients{dx};
                });
}

Tensor binary_value(Binary op, const Tensor& a, const Tensor& b) {
  check_same_kind(to_string(op), a, b);
  const ProfileScope scope(to_string(op));
  const Shape shape = broadcast(to_string(op), a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  backend(a.device())
      .binary(op, y.mutable_view(), broadcast_view(a, shape), broadcast_view(b, shape));
  return y;
}

Tensor binary(Binary op, const Tensor& a, const Tensor& b) {
  return record(to_string(op), binary_value(op, a, b), {a, b},
                [op, sa = Saved(a), sb = Saved(b)](const Tensor& dy, Wanted wanted) {
                  const Tensor& a = sa.get(to_string(op));
                  const Tensor& b = sb.get(to_string(op));
                  Gradients d(2);
                  for (int side : {0, 1}) {
                    if (!wanted[static_cast<std::size_t>(side)]) continue;
                    Tensor dside = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
                    backend(dy.device())
                        .binary_backward(op, side, dside.mutable_view(), dy.view(),
                                         broadcast_view(a, dy.shape()),
                                         broadcast_view(b, dy.shape()));
                    d[static_cast<std::size_t>(side)] = dside;
                  }
                  return d;
                });
}

// a + b and a - b need neither input in backward, so they keep none alive.
Tensor linear_binary(Binary op, const Tensor& a, const Tensor& b, double db) {
  return record(to_string(op), binary_value(op, a, b), {a, b},
                [db](const Tensor& dy, Wanted wanted) {
                  return Gradients{wanted[0] ? dy : Tensor(), !wanted[1] ? Tensor()
                                                              : db == 1  ? dy
                                                                         : scale(dy, db)};
                });
}

}  // namespace

Tensor neg(const Tensor& x) { return unary(Unary::neg, x); }
Tensor scale(const Tensor& x, double factor) { return unary(Unary::scale, x, factor); }
Tensor shift(const Tensor& x, double offset) { return unary(Unary::shift, x, offset); }
Tensor abs(const Tensor& x) { return unary(Unary::abs, x); }
Tensor square(const Tensor& x) { return unary(Unary::square, x); }
Tensor sqrt(const Tensor& x) { return unary(Unary::sqrt, x); }
Tensor reciprocal(const Tensor& x) { return unary(Unary::reciprocal, x); }
Tensor exp(const Tensor& x) { return unary(Unary::exp, x); }
Tensor log(const Tensor& x) { return unary(Unary::log, x); }
Tensor tanh(const Tensor& x) { return unary(Unary::tanh, x); }
Tensor sigmoid(const Tensor& x) { return unary(Unary::sigmoid, x); }
Tensor relu(const Tensor& x) { return unary(Unary::relu, x); }
Tensor clamp_min(const Tensor& x, double low) { return unary(Unary::clamp_min, x, low); }

Tensor add(const Tensor& a, const Tensor& b) { return linear_binary(Binary::add, a, b, 1); }
Tensor sub(const Tensor& a, const Tensor& b) { return linear_binary(Binary::sub, a, b, -1); }
Tensor mul(const Tensor& a, const Tensor& b) { return binary(Binary::mul, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return binary(Binary::div, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return binary(Binary::maximum, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return binary(Binary::minimum, a, b); }
Tensor equal(const Tensor& a, const Tensor& b) { return binary_value(Binary::equal, a, b); }
Tensor less(const Tensor& a, const Tensor& b) { return binary_value(Binary::less, a, b); }
Tensor greater(const Tensor& a, const Tensor& b) { return binary_value(Binary::greater, a, b); }

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_same_kind("where", a, b);
  check_same_kind("where", condition, a);
  const ProfileScope scope("where");
  const Shape shape =
      broadcast("where", condition.shape(), broadcast("where", a.shape(), b.shape()));
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  backend(a.device())
      .where(y.mutable_view(), broadcast_view(condition, shape), broadcast_view(a, shape),
             broadcast_view(b, shape));
  return record("where", y, {a, b}, [sc = Saved(condition)](const Tensor& dy, Wanted wanted) {
    const Tensor& condition = sc.get("where");
    const Tensor zero = Tensor::zeros({}, dy.dtype(), dy.device());
    return Gradients{wanted[0] ? where(condition, dy, zero) : Tensor(),
                     wanted[1] ? where(condition, zero, dy) : Tensor()};
  });
}

}  // namespace understudy
