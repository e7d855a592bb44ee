// Sums, means and maxima over axes.
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

struct Reduced {
  Shape kept;     // the input's rank, 1 along every reduced axis
  Shape dropped;  // without the reduced axes
};

Reduced reduced_shape(const char* op, const Tensor& x, std::span<const int> axes) {
  Reduced out{x.shape(), {}};
  bool reduced[Dims::max_rank] = {};
  for (int axis : axes) {
    axis = normalize_axis(op, axis, x.rank());
    check(!reduced[axis], "[{}] axis {} is named twice", op, axis);
    reduced[axis] = true;
    out.kept[axis] = 1;
  }
  for (int i = 0; i < x.rank(); ++i)
    if (!reduced[i]) out.dropped.push_back(x.shape()[i]);
  return out;
}

Tensor reduce(Reduction op, const Tensor& x, const Shape& kept) {
  Tensor out = Tensor::empty(kept, x.dtype(), x.device());
  backend(x.device()).reduce(op, out.mutable_view(), x.view());
  return out;
}

}  // namespace

Tensor sum(const Tensor& x, std::span<const int> axes, bool keep) {
  const ProfileScope scope("sum");
  check(is_floating(x.dtype()), "[sum] needs floats, not {}", x.dtype());
  const Reduced shape = reduced_shape("sum", x, axes);
  Tensor y = reduce(Reduction::sum, x, shape.kept);
  if (!keep) y = y.alias(shape.dropped, contiguous_strides(shape.dropped));
  return record("sum", y, {x}, [from = x.shape(), kept = shape.kept](const Tensor& dy, Wanted) {
    return Gradients{broadcast_to(reshape(dy, kept), from)};
  });
}
Tensor sum(const Tensor& x, std::initializer_list<int> axes, bool keep) {
  return sum(x, std::span(axes.begin(), axes.size()), keep);
}
Tensor sum(const Tensor& x) {
  int axes[Dims::max_rank];
  for (int i = 0; i < x.rank(); ++i) axes[i] = i;
  return sum(x, std::span(axes, static_cast<std::size_t>(x.rank())));
}

Tensor max(const Tensor& x, int axis, bool keep) {
  const ProfileScope scope("max");
  check(is_floating(x.dtype()), "[max] needs floats, not {}", x.dtype());
  const int axes[] = {axis};
  const Reduced shape = reduced_shape("max", x, axes);
  check(x.size(axis) > 0, "[max] over axis {} of {}, which is empty", axis, x.shape());
  const Tensor kept = reduce(Reduction::max, x, shape.kept);
  const Shape out = keep ? shape.kept : shape.dropped;
  return record("max", kept.alias(out, contiguous_strides(out)), {x},
                [axis, sx = Saved(x), sy = Saved(kept)](const Tensor& dy, Wanted) {
                  const Tensor& y = sy.get("max");
                  const Tensor winners = equal(sx.get("max"), y);
                  const Tensor share = div(reshape(dy, y.shape()), sum(winners, {axis}, true));
                  return Gradients{mul(winners, share)};
                });
}

Tensor argmax(const Tensor& x) {
  const ProfileScope scope("argmax");
  check(is_floating(x.dtype()), "[argmax] needs floats, not {}", x.dtype());
  check(x.rank() >= 1 && x.shape().back() > 0,
        "[argmax] over the last axis of {}, which is empty or missing", x.shape());
  Shape shape = x.shape();
  const std::int64_t C = shape.back();
  shape.pop_back();
  Tensor out = Tensor::empty(shape, DType::i64, x.device());
  const Shape flat{shape.count()};
  const Tensor rows = contiguous(x).alias({shape.count(), C}, {C, 1});
  Tensor flat_out = out.alias(flat, {1});
  backend(x.device()).argmax(flat_out.mutable_view(), rows.view());
  return out;
}

}  // namespace understudy
