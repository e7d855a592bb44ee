#include "engine/shape.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {

int normalize_axis(const char* op, int axis, int rank) {
  check(axis >= -rank && axis < rank, "[{}] axis {} of a tensor of rank {}", op, axis, rank);
  return axis < 0 ? axis + rank : axis;
}

// Sizes of 0 do not excuse the others: their strides must fit too.
void check_shape(const char* op, const Shape& shape) {
  constexpr std::int64_t most = std::int64_t{1} << 46;
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    check(size >= 0, "[{}] sizes cannot be negative, found {}", op, shape);
    if (size == 0) continue;
    check(count <= most / size, "[{}] a tensor of shape {} is too large to address", op, shape);
    count *= size;
  }
}

namespace {
// The size at `axis` of a shape that is seen at `rank`: 1 where it has no such axis.
std::int64_t size_at(const Shape& shape, int axis, int rank) {
  const int own = axis - (rank - shape.rank());
  return own < 0 ? 1 : shape[own];
}
bool meet(std::int64_t a, std::int64_t b) { return a == b || a == 1 || b == 1; }
}  // namespace

bool broadcasts(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  for (int i = 0; i < rank; ++i)
    if (!meet(size_at(a, i, rank), size_at(b, i, rank))) return false;
  return true;
}

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out = Shape::filled(rank, 1);
  for (int i = 0; i < rank; ++i) {
    const std::int64_t na = size_at(a, i, rank), nb = size_at(b, i, rank);
    check(meet(na, nb), "[{}] {} and {}: sizes {} and {} differ at axis {}", op, a, b, na, nb, i);
    out[i] = na == 1 ? nb : na;
  }
  return out;
}

Strides broadcast_strides(const Shape& shape, const Strides& strides, const Shape& target) {
  Strides out = Strides::filled(target.rank(), 0);
  const int shift = target.rank() - shape.rank();
  for (int i = 0; i < shape.rank(); ++i)
    out[i + shift] = shape[i] == 1 && target[i + shift] != 1 ? 0 : strides[i];
  return out;
}

}  // namespace understudy
