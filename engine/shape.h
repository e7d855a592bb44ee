// Sizes of a tensor, and the rules by which they combine.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/view.h"

namespace understudy {

using Shape = Dims;
using Strides = Dims;

// axis in [-rank, rank) to [0, rank); Error naming `op` otherwise.
int normalize_axis(const char* op, int axis, int rank);

// Error naming `op` unless every size is at least 0 and a tensor of this shape can be addressed.
void check_shape(const char* op, const Shape& shape);

// True when `a` and `b` have a NumPy broadcast.
bool broadcasts(const Shape& a, const Shape& b);

// The shape of a NumPy broadcast: aligned at the last axis, sizes equal or 1. Error otherwise:
// "[add] (64,784) and (200): sizes 784 and 200 differ at axis 1".
Shape broadcast(const char* op, const Shape& a, const Shape& b);

// Strides that make a tensor of `shape` look like `target`: 0 along every repeated axis.
Strides broadcast_strides(const Shape& shape, const Strides& strides, const Shape& target);

}  // namespace understudy
