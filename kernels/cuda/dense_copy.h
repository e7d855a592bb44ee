// Copies that bring the factors of products and convolutions into the form that a library takes.
#pragma once

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

// A matrix in memory; element (r, c) is data[r · row_stride + c · column_stride].
template <class T>
struct Matrix {
  const T* data;
  std::int64_t rows, columns, row_stride, column_stride;
};

// to[r · ld + c] = from(r, c), converted; ld >= columns.
template <class To, class From>
void copy_dense(const Stream& stream, To* to, std::int64_t ld, const Matrix<From>& from);

// The same for `count` neighbours.
template <class To, class From>
void convert(const Stream& stream, To* to, const From* from, std::int64_t count) {
  copy_dense(stream, to, count, Matrix<From>{from, 1, count, count, 1});
}

}  // namespace understudy::cuda
