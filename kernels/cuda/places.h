// Where the threads of a kernel stand in several arrays of one shape: kernels/strided.h's Walk in the
// form that a kernel takes by value, with 32-bit arithmetic.
#pragma once

#include <cstdint>

#include "kernels/cuda/quad.h"
#include "kernels/host_device.h"
#include "kernels/strided.h"

namespace understudy::cuda {

// Division by a number that is known at launch, as a multiplication (Granlund and Montgomery 1994).
struct Divider {
  std::uint32_t divisor, factor, shift;

  static Divider of(std::int64_t number) {  // 1 <= number < 2^31
    const auto divisor = static_cast<std::uint32_t>(number);
    std::uint32_t shift = 0;
    while ((std::uint64_t{1} << shift) < divisor) ++shift;
    const std::uint64_t excess = (std::uint64_t{1} << shift) - divisor;
    return {divisor, static_cast<std::uint32_t>((excess << 32) / divisor + 1), shift};
  }
  // n < 2^31
  UNDERSTUDY_HD std::uint32_t quotient(std::uint32_t n) const {
    const auto high = static_cast<std::uint32_t>(std::uint64_t{n} * factor >> 32);
    return (high + n) >> shift;
  }
};

// A step is one element or, with `width` 4, up to that many neighbours along the last axis.
template <int N>
struct Places {
  std::uint32_t steps, width;
  int rank;
  std::uint32_t inner;           // elements along the last axis
  Divider axis[Dims::max_rank];  // steps along each axis; the first is not divided by
  std::int64_t strides[N][Dims::max_rank];

  // Moves offset[i], in elements, to where step `step` begins in array i; returns its elements.
  UNDERSTUDY_HD std::uint32_t find(std::uint32_t step, std::int64_t (&offset)[N]) const {
    std::uint32_t last = 0, rest = step;
    for (int a = rank - 1; a >= 0; --a) {
      std::uint32_t at = rest;
      if (a > 0) {
        rest = axis[a].quotient(rest);
        at -= rest * axis[a].divisor;
      }
      if (a == rank - 1) last = at *= width;
      for (int i = 0; i < N; ++i) offset[i] += at * strides[i][a];
    }
    return inner - last < width ? inner - last : width;
  }
};

// walk.count < 2^31, and > 0.
template <int N>
Places<N> make_places(const Walk<N>& walk, std::int64_t width) {
  Places<N> places = {};
  const std::int64_t along = (walk.inner() + width - 1) / width;
  places.steps = static_cast<std::uint32_t>(walk.count / walk.inner() * along);
  places.width = static_cast<std::uint32_t>(width);
  places.rank = walk.rank;
  places.inner = static_cast<std::uint32_t>(walk.inner());
  for (int axis = 0; axis < walk.rank; ++axis) {
    places.axis[axis] = Divider::of(axis == walk.rank - 1 ? along : walk.shape[axis]);
    for (int i = 0; i < N; ++i) places.strides[i][axis] = walk.strides[i][axis];
  }
  return places;
}

// Whether array i of the walk, at `data`, is read or written by quads: they are dense along the last
// axis and aligned at every start of it. An array that does not move along it is read as one number.
template <class T, int N>
bool moves_by_quads(const Walk<N>& walk, int i, const T* data) {
  if (i > 0 && walk.inner_stride(i) == 0) return true;
  if (walk.inner_stride(i) != 1 || walk.inner() < quad_size || !takes_quads(data, 0)) return false;
  for (int axis = 0; axis < walk.rank - 1; ++axis)
    if (walk.strides[i][axis] % quad_size != 0) return false;
  return true;
}

// body(piece, start): the walk in pieces of at most `most` elements (a multiple of 4), so that kernels
// count in 32 bits; start[i] is where array i begins.
template <int N, class Body>
void for_pieces(const Walk<N>& walk, std::int64_t most, Body&& body,
                const std::int64_t (&start)[N] = {}) {
  if (walk.count == 0) return;
  if (walk.count <= most) return body(walk, start);
  const std::int64_t below = walk.count / walk.shape[0];  // elements for each step along axis 0
  const std::int64_t chunk = below >= most ? 1 : most / below;
  for (std::int64_t at = 0; at < walk.shape[0]; at += chunk) {
    std::int64_t from[N];
    for (int i = 0; i < N; ++i) from[i] = start[i] + at * walk.strides[i][0];
    Walk<N> piece = walk;
    piece.shape[0] = walk.shape[0] - at < chunk ? walk.shape[0] - at : chunk;
    piece.count = piece.shape[0] * below;
    if (piece.shape[0] == 1 && walk.rank > 1) {
      --piece.rank;
      for (int axis = 0; axis < piece.rank; ++axis) {
        piece.shape[axis] = walk.shape[axis + 1];
        for (int i = 0; i < N; ++i) piece.strides[i][axis] = walk.strides[i][axis + 1];
      }
    }
    for_pieces(piece, most, body, from);
  }
}

}  // namespace understudy::cuda
