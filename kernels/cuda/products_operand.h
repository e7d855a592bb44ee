// The factors of a product in a form that cuBLASLt takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/cuda/dense_copy.h"
#include "kernels/view.h"

namespace understudy::cuda {

// Rows, columns, and elements from line to line.
inline constexpr std::int64_t most_rows = std::numeric_limits<int>::max();

// A factor as it lies: lines of neighbours, `ld` elements from line to line. The lines are the
// matrix's rows, or else its columns.
struct ProductOperand {
  const void* data = nullptr;
  bool rows = true;
  std::int64_t ld = 0;
  bool copied = false;    // is to be copied, in this form
  std::size_t bytes = 0;  // of the copy

  // Rows of converted factors begin at multiples of 16 bytes, as tensor cores want them, and copies
  // at multiples of 256.
  static constexpr std::int64_t bf16_step = 8;
  static constexpr std::size_t whole_lines(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

  template <class T>
  static ProductOperand of(const ConstView& v, bool to_bf16) {
    const std::int64_t R = v.shape[0], C = v.shape[1], s0 = v.strides[0], s1 = v.strides[1];
    ProductOperand operand{.data = v.data};
    if ((s1 == 1 || C == 1) && (R == 1 || (s0 >= C && s0 <= most_rows))) {
      operand.ld = R == 1 ? C : s0;
    } else if ((s0 == 1 || R == 1) && (C == 1 || (s1 >= R && s1 <= most_rows))) {
      operand.rows = false;
      operand.ld = C == 1 ? R : s1;
    } else {
      operand.copied = true;  // it has neither, or repeats elements
    }
    if (to_bf16 || operand.copied) {
      const std::int64_t lines = operand.rows ? R : C, length = operand.rows ? C : R;
      operand.copied = true;
      operand.ld = to_bf16 ? (length + bf16_step - 1) / bf16_step * bf16_step : length;
      operand.bytes = whole_lines(static_cast<std::size_t>(lines * operand.ld) *
                                  (to_bf16 ? sizeof(Bf16) : sizeof(T)));
    }
    return operand;
  }

  template <class T>
  void copy_to(const Stream& stream, void* room, const ConstView& v, bool to_bf16) {
    Matrix<T> from{v.as<T>(), v.shape[0], v.shape[1], v.strides[0], v.strides[1]};
    if (!rows) {
      std::swap(from.rows, from.columns);
      std::swap(from.row_stride, from.column_stride);
    }
    data = room;
    if constexpr (std::is_same_v<T, float>) {
      if (to_bf16) return copy_dense(stream, static_cast<Bf16*>(room), ld, from);
    }
    copy_dense(stream, static_cast<T*>(room), ld, from);
  }
};

}  // namespace understudy::cuda
