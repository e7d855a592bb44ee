// The axes of a reduction, as few as possible (kernels/strided.h).
#pragma once

#include "kernels/strided.h"

namespace understudy {

// Those that stay (array 0: the input, 1: the output) and those that go, which only the input steps
// through. Each with the input's largest stride first.
struct ReductionAxes {
  Walk<2> kept;
  Walk<1> reduced;
};

// `out` has the rank of `in`; what is 1 in `out` alone is reduced.
inline ReductionAxes reduction_axes(const View& out, const ConstView& in) {
  Dims out_strides = out.strides;
  for (int axis = 0; axis < in.shape.rank(); ++axis)
    if (out.shape[axis] == 1 && in.shape[axis] != 1) out_strides[axis] = 0;
  const auto all = make_walk<2>(in.shape, {&in.strides, &out_strides});
  ReductionAxes axes;
  int kept = 0, reduced = 0;
  for (int axis = 0; axis < all.rank; ++axis) {
    if (all.strides[1][axis] != 0) {
      axes.kept.shape[kept] = all.shape[axis];
      axes.kept.strides[0][kept] = all.strides[0][axis];
      axes.kept.strides[1][kept++] = all.strides[1][axis];
      axes.kept.count *= all.shape[axis];
    } else {
      axes.reduced.shape[reduced] = all.shape[axis];
      axes.reduced.strides[0][reduced++] = all.strides[0][axis];
      axes.reduced.count *= all.shape[axis];
    }
  }
  axes.kept.rank = kept > 1 ? kept : 1;
  axes.reduced.rank = reduced > 1 ? reduced : 1;
  return axes;
}

}  // namespace understudy
