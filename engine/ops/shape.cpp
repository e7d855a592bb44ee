// Ops that look at the same elements in another shape or order, and the few that move them.
#include <algorithm>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/ops/index.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

// Gradient of a view: zeros of the input's shape with dy written where the view looked.
Tensor scatter_view(const Tensor& dy, const Shape& shape, int axis, std::int64_t begin,
                    std::int64_t step) {
  Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
  slice(dx, axis, begin, begin + (dy.size(axis) - 1) * step + 1, step).copy_(dy);
  return dx;
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  Shape full = shape;
  int unknown = -1;
  for (int i = 0; i < full.rank(); ++i) {
    if (full[i] != -1) continue;
    check(unknown < 0, "[reshape] {}: only one size may be -1", shape);
    unknown = i;
    full[i] = 1;
  }
  check_shape("reshape", full);
  const std::int64_t known = full.count();
  if (unknown >= 0) full[unknown] = known == 0 ? 0 : x.count() / known;
  check(full.count() == x.count() && (unknown < 0 || known > 0),
        "[reshape] {} has {} elements, which do not fill {}", x.shape(), x.count(), shape);
  const Tensor source = contiguous(x);
  return record(
      "reshape", source.alias(full, contiguous_strides(full)), {source},
      [from = source.shape()](const Tensor& dy, Wanted) { return Gradients{reshape(dy, from)}; });
}

Tensor permute(const Tensor& x, std::span<const int> axes) {
  const int rank = x.rank();
  check(static_cast<int>(axes.size()) == rank, "[permute] {} axes for a tensor of shape {}",
        axes.size(), x.shape());
  Shape shape = x.shape();
  Strides strides = x.strides();
  Dims inverse = Dims::filled(rank, -1);
  for (int i = 0; i < rank; ++i) {
    const int axis = normalize_axis("permute", axes[static_cast<std::size_t>(i)], rank);
    check(inverse[axis] < 0, "[permute] axis {} is named twice", axis);
    inverse[axis] = i;
    shape[i] = x.shape()[axis];
    strides[i] = x.strides()[axis];
  }
  return record("permute", x.alias(shape, strides), {x}, [inverse](const Tensor& dy, Wanted) {
    int back[Dims::max_rank];
    for (int i = 0; i < inverse.rank(); ++i) back[i] = static_cast<int>(inverse[i]);
    return Gradients{permute(dy, std::span(back, static_cast<std::size_t>(inverse.rank())))};
  });
}
Tensor permute(const Tensor& x, std::initializer_list<int> axes) {
  return permute(x, std::span(axes.begin(), axes.size()));
}

Tensor transpose(const Tensor& x) {
  check(x.rank() >= 2, "[transpose] needs two axes, the tensor has shape {}", x.shape());
  int axes[Dims::max_rank];
  for (int i = 0; i < x.rank(); ++i) axes[i] = i;
  std::swap(axes[x.rank() - 1], axes[x.rank() - 2]);
  return permute(x, std::span(axes, static_cast<std::size_t>(x.rank())));
}

Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end, std::int64_t step) {
  axis = normalize_axis("slice", axis, x.rank());
  const std::int64_t size = x.shape()[axis];
  const std::int64_t asked_begin = begin, asked_end = end;
  if (begin < 0) begin += size;
  if (end < 0) end += size;
  check(
      step >= 1 && begin >= 0 && begin <= end && end <= size,
      "[slice] {}:{}:{} of axis {} of {}: needs 0 <= begin <= end <= {} (negative ones count from "
      "the end) and step >= 1",
      asked_begin, asked_end, step, axis, x.shape(), size);
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[axis] = begin == end ? 0 : (end - begin - 1) / step + 1;
  if (shape[axis] > 1) strides[axis] *= step;
  return record("slice", x.alias(shape, strides, begin * x.strides()[axis]), {x},
                [from = x.shape(), axis, begin, step](const Tensor& dy, Wanted) {
                  if (dy.size(axis) == 0)
                    return Gradients{Tensor::zeros(from, dy.dtype(), dy.device())};
                  return Gradients{scatter_view(dy, from, axis, begin, step)};
                });
}

Tensor select(const Tensor& x, int axis, std::int64_t index) {
  axis = normalize_axis("select", axis, x.rank());
  const std::int64_t size = x.shape()[axis];
  check(index >= -size && index < size, "[select] index {} of axis {} of {} is outside [{}, {})",
        index, axis, x.shape(), -size, size);
  if (index < 0) index += size;
  Shape shape;
  Strides strides;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == axis) continue;
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  return record("select", x.alias(shape, strides, index * x.strides()[axis]), {x},
                [from = x.shape(), axis, index](const Tensor& dy, Wanted) {
                  Shape kept = from;
                  kept[axis] = 1;
                  return Gradients{scatter_view(reshape(dy, kept), from, axis, index, 1)};
                });
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  check_shape("broadcast_to", shape);
  check(broadcast("broadcast_to", x.shape(), shape) == shape, "[broadcast_to] {} does not fit {}",
        x.shape(), shape);
  return record("broadcast_to", x.alias(shape, broadcast_strides(x.shape(), x.strides(), shape)),
                {x}, [](const Tensor& dy, Wanted) { return Gradients{dy}; });
}

Tensor concat(std::span<const Tensor> parts, int axis) {
  const ProfileScope scope("concat");
  check(!parts.empty(), "[concat] of no tensors");
  const Tensor& first = parts[0];
  axis = normalize_axis("concat", axis, first.rank());
  if (recording() && parts.size() > Wanted::max_inputs) {
    PoolVector<Tensor> groups;
    for (std::size_t i = 0; i < parts.size(); i += Wanted::max_inputs)
      groups.push_back(
          concat(parts.subspan(i, std::min(Wanted::max_inputs, parts.size() - i)), axis));
    return concat(groups, axis);
  }
  Shape shape = first.shape();
  for (const Tensor& part : parts.subspan(1)) {
    Shape like = part.shape();
    check(part.rank() == first.rank() && part.dtype() == first.dtype() &&
              part.device() == first.device(),
          "[concat] {} of {} on {} and {} of {} on {}: rank, type or device differ", first.shape(),
          first.dtype(), first.device(), part.shape(), part.dtype(), part.device());
    shape[axis] += like[axis];
    like[axis] = first.shape()[axis];
    check(like == first.shape(), "[concat] {} and {} along axis {}: other sizes differ",
          first.shape(), part.shape(), axis);
  }
  Tensor out = Tensor::empty(shape, first.dtype(), first.device());
  PoolVector<std::int64_t> ends;
  std::int64_t begin = 0;
  for (const Tensor& part : parts) {
    const std::int64_t end = begin + part.size(axis);
    NoGradGuard no_grad;
    slice(out, axis, begin, end).copy_(part);
    ends.push_back(begin = end);
  }
  return record("concat", out, parts, [ends, axis](const Tensor& dy, Wanted wanted) {
    Gradients d(ends.size());
    for (std::size_t i = 0; i < ends.size(); ++i)
      if (wanted[i]) d[i] = slice(dy, axis, i == 0 ? 0 : ends[i - 1], ends[i]);
    return d;
  });
}
Tensor concat(std::initializer_list<Tensor> parts, int axis) {
  return concat(std::span(parts.begin(), parts.size()), axis);
}

Tensor stack(std::span<const Tensor> parts, int axis) {
  check(!parts.empty(), "[stack] of no tensors");
  axis = normalize_axis("stack", axis, parts[0].rank() + 1);
  PoolVector<Tensor> expanded;
  for (const Tensor& part : parts) {
    check(part.shape() == parts[0].shape(), "[stack] {} and {}: the shapes differ",
          parts[0].shape(), part.shape());
    Shape shape;
    for (int i = 0; i <= part.rank(); ++i) {
      if (i == axis) shape.push_back(1);
      if (i < part.rank()) shape.push_back(part.shape()[i]);
    }
    expanded.push_back(reshape(part, shape));
  }
  return concat(expanded, axis);
}
Tensor stack(std::initializer_list<Tensor> parts, int axis) {
  return stack(std::span(parts.begin(), parts.size()), axis);
}

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

Tensor clone(const Tensor& x) {
  const ProfileScope scope("clone");
  Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  backend(x.device()).copy(out.mutable_view(), x.view());
  return record("clone", out, {x}, [](const Tensor& dy, Wanted) { return Gradients{dy}; });
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const ProfileScope scope("cast");
  Tensor out = Tensor::empty(x.shape(), dtype, x.device());
  backend(x.device()).copy(out.mutable_view(), x.view());
  if (!is_floating(dtype)) return out;
  return record("cast", out, {x},
                [from = x.dtype()](const Tensor& dy, Wanted) { return Gradients{cast(dy, from)}; });
}

Tensor to(const Tensor& x, Device device) {
  if (x.device() == device) return x;
  const ProfileScope scope("to");
  const Tensor source = contiguous(x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), device);
  const std::size_t bytes = static_cast<std::size_t>(x.count()) * size_of(x.dtype());
  // Between two devices the elements pass through the host.
  Tensor host = device == Device{} ? out : Tensor();
  if (x.device() == Device{}) {
    backend(device).from_host(out.mutable_view().data, source.view().data, bytes);
  } else {
    if (!host.defined()) host = Tensor::empty(x.shape(), x.dtype());
    backend(x.device()).to_host(host.mutable_view().data, source.view().data, bytes);
    if (device != Device{})
      backend(device).from_host(out.mutable_view().data, host.view().data, bytes);
  }
  return record("to", out, {source},
                [from = x.device()](const Tensor& dy, Wanted) { return Gradients{to(dy, from)}; });
}

Tensor gather_rows(const Tensor& x, const Tensor& index) {
  const ProfileScope scope("gather_rows");
  check(x.rank() >= 1, "[gather_rows] of a tensor of shape {}", x.shape());
  check(index.rank() == 1 && index.dtype() == DType::i64 && index.device() == x.device(),
        "[gather_rows] the index must be int64 of rank 1 on {}, found {} of {} on {}", x.device(),
        index.dtype(), index.shape(), index.device());
  check_index("gather_rows", index, x.size(0));
  const Tensor source = contiguous(x);
  const Tensor dense = contiguous(index);
  Shape shape = x.shape();
  shape[0] = index.size(0);
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  backend(x.device()).gather_rows(out.mutable_view(), source.view(), dense.view());
  return record("gather_rows", out, {source},
                [from = x.shape(), si = Saved(dense)](const Tensor& dy, Wanted) {
                  Tensor dx = Tensor::zeros(from, dy.dtype(), dy.device());
                  backend(dy.device())
                      .scatter_add_rows(dx.mutable_view(), contiguous(dy).view(),
                                        si.get("gather_rows").view());
                  return Gradients{dx};
                });
}

}  // namespace understudy
