// A dense array as rows: the last axis is a row, and all others are one.
#pragma once

#include "kernels/view.h"

namespace understudy {

struct RowShape {
  std::int64_t rows, C;
};

// A single number is one row of one.
inline RowShape row_shape(const Dims& shape) {
  RowShape s{1, shape.rank() == 0 ? 1 : shape.back()};
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) s.rows *= shape[axis];
  return s;
}

}  // namespace understudy
