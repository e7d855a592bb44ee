// Softmax over the last axis, and the fused cross-entropy.
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/ops/index.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

// x as dense rows of its last axis.
Tensor rows_of(const char* op, const Tensor& x) {
  check(x.rank() >= 1 && is_floating(x.dtype()),
        "[{}] needs a floating tensor with at least one axis, found {} of {}", op, x.dtype(),
        x.shape());
  Shape shape = x.shape();
  const std::int64_t C = shape.back();
  shape.pop_back();
  const Tensor dense = contiguous(x);
  return dense.alias({shape.count(), C}, {C, 1});
}

using Forward = void (Backend::*)(const View&, const ConstView&);
using Backward = void (Backend::*)(const View&, const ConstView&, const ConstView&);

Tensor row_op(const char* op, const Tensor& x, Forward forward, Backward backward) {
  const ProfileScope scope(op);
  const Tensor rows = rows_of(op, x);
  Tensor y = Tensor::empty(rows.shape(), x.dtype(), x.device());
  (backend(x.device()).*forward)(y.mutable_view(), rows.view());
  return record(op, y.alias(x.shape(), contiguous_strides(x.shape())), {x},
                [op, backward, sy = Saved(y)](const Tensor& dy, Wanted) {
                  Tensor dx = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
                  const Tensor& y = sy.get(op);
                  View rows = dx.mutable_view();
                  rows.shape = y.shape();
                  rows.strides = y.strides();
                  (backend(dy.device()).*backward)(rows, rows_of(op, dy).view(), y.view());
                  return Gradients{dx};
                });
}

}  // namespace

Tensor softmax(const Tensor& x) {
  return row_op("softmax", x, &Backend::softmax, &Backend::softmax_backward);
}
Tensor log_softmax(const Tensor& x) {
  return row_op("log_softmax", x, &Backend::log_softmax, &Backend::log_softmax_backward);
}

Tensor cross_entropy(const Tensor& logits, const Tensor& label, Average average) {
  const ProfileScope scope("cross_entropy");
  const Tensor rows = rows_of("cross_entropy", logits);
  check(logits.rank() == 2, "[cross_entropy] needs logits (N, C), found {}", logits.shape());
  check(label.rank() == 1 && label.dtype() == DType::i64 && label.size(0) == logits.size(0) &&
            label.device() == logits.device(),
        "[cross_entropy] logits {} need int64 labels {} on the same device, found {} of {}",
        logits.shape(), Shape{logits.size(0)}, label.dtype(), label.shape());
  check_index("cross_entropy", label, logits.size(1));
  const Tensor dense = contiguous(label);
  Tensor loss = Tensor::empty({logits.size(0)}, logits.dtype(), logits.device());
  Tensor probability = Tensor::empty(logits.shape(), logits.dtype(), logits.device());
  backend(logits.device())
      .cross_entropy(loss.mutable_view(), probability.mutable_view(), rows.view(), dense.view());
  loss = record("cross_entropy", loss, {logits},
                [sp = Saved(probability), sl = Saved(dense)](const Tensor& dy, Wanted) {
                  const Tensor& p = sp.get("cross_entropy");
                  Tensor dx = Tensor::empty(p.shape(), p.dtype(), p.device());
                  backend(p.device())
                      .cross_entropy_backward(dx.mutable_view(), contiguous(dy).view(), p.view(),
                                              sl.get("cross_entropy").view());
                  return Gradients{dx};
                });
  return average == Average::none ? loss : average == Average::mean ? mean(loss) : sum(loss);
}

}  // namespace understudy
