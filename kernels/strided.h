// Walking several arrays of one shape, each with strides of its own.
#pragma once

#include <cstdint>

#include "kernels/view.h"

namespace understudy {

// N arrays under one shape, with as few axes as possible: axes of size 1 are gone, axes that every
// array steps through evenly are one, and the axis along which array 0 is closest together is last.
template <int N>
struct Walk {
  int rank = 1;  // at least 1
  std::int64_t count = 1;
  std::int64_t shape[Dims::max_rank] = {1};
  std::int64_t strides[N][Dims::max_rank] = {};

  std::int64_t inner() const { return shape[rank - 1]; }
  std::int64_t inner_stride(int array) const { return strides[array][rank - 1]; }
};

// strides[i] may be null: array i then does not move (it is not there, or is one number).
template <int N>
Walk<N> make_walk(const Dims& shape, const Dims* const (&strides)[N]) {
  Walk<N> walk;
  int rank = 0;
  const auto stride_of = [&](int array, int axis) {
    return strides[array] == nullptr ? 0 : (*strides[array])[axis];
  };
  const auto size = [](std::int64_t stride) { return stride < 0 ? -stride : stride; };
  for (int axis = 0; axis < shape.rank(); ++axis) {
    walk.count *= shape[axis];
    if (shape[axis] == 1) continue;
    // Insertion by falling stride of array 0; equal strides keep their order.
    int place = rank++;
    for (; place > 0 && size(walk.strides[0][place - 1]) < size(stride_of(0, axis)); --place) {
      walk.shape[place] = walk.shape[place - 1];
      for (int i = 0; i < N; ++i) walk.strides[i][place] = walk.strides[i][place - 1];
    }
    walk.shape[place] = shape[axis];
    for (int i = 0; i < N; ++i) walk.strides[i][place] = stride_of(i, axis);
  }
  if (rank == 0) {
    walk.shape[0] = 1;
    return walk;
  }
  // Axis `next` joins axis `last` where every array's outer stride spans the inner axis.
  int last = 0;
  for (int next = 1; next < rank; ++next) {
    bool joins = true;
    for (int i = 0; i < N; ++i)
      joins = joins && walk.strides[i][last] == walk.strides[i][next] * walk.shape[next];
    if (joins) {
      walk.shape[last] *= walk.shape[next];
    } else {
      walk.shape[++last] = walk.shape[next];
    }
    for (int i = 0; i < N; ++i) walk.strides[i][last] = walk.strides[i][next];
  }
  walk.rank = last + 1;
  return walk;
}

// For the elements [begin, end) in the walk's order: row(n, offsets) for each run of n elements
// along the last axis, offsets[i] being where array i stands.
template <int N, class Row>
void for_each_row(const Walk<N>& walk, std::int64_t begin, std::int64_t end, Row&& row) {
  if (begin >= end) return;
  const int inner = walk.rank - 1;
  std::int64_t at[Dims::max_rank];
  std::int64_t offsets[N] = {};
  std::int64_t rest = begin;
  for (int axis = inner; axis >= 0; --axis) {
    at[axis] = rest % walk.shape[axis];
    rest /= walk.shape[axis];
    for (int i = 0; i < N; ++i) offsets[i] += at[axis] * walk.strides[i][axis];
  }
  while (true) {
    std::int64_t n = walk.shape[inner] - at[inner];
    if (n > end - begin) n = end - begin;
    row(n, static_cast<const std::int64_t(&)[N]>(offsets));
    begin += n;
    if (begin >= end) return;
    // To the start of the next row: the last axis returns to 0, the others count up.
    for (int i = 0; i < N; ++i) offsets[i] -= at[inner] * walk.strides[i][inner];
    at[inner] = 0;
    for (int axis = inner - 1; axis >= 0; --axis) {
      for (int i = 0; i < N; ++i) offsets[i] += walk.strides[i][axis];
      if (++at[axis] < walk.shape[axis]) break;
      for (int i = 0; i < N; ++i) offsets[i] -= walk.shape[axis] * walk.strides[i][axis];
      at[axis] = 0;
    }
  }
}

}  // namespace understudy
