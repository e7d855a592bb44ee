// Many small products at once: a batch in which few different matrices are used over and over.
#pragma once

#include <mutex>
#include <vector>

#include "coding/matrix/dense.h"
#include "engine/tensor.h"

namespace understudy {

// (rows, columns) of that type there.
Tensor as_tensor(const Matrix& matrix, DType dtype, Device device);

// as_tensor for a matrix that is used again and again: what is asked for twice in a row is made once,
// so that work that uses it can be recorded (engine/repeated_step.h). Safe to call from several
// threads.
class ResidentMatrix {
 public:
  Tensor get(const Matrix& matrix, DType dtype, Device device) const;

 private:
  mutable std::mutex mutex_;
  mutable Matrix matrix_;
  mutable Tensor tensor_;
};

// y[b] = matrices[which[b]] · x[b]: x (B, n, C), matrices (m, n) each → (B, m, C). Gradients flow
// to x. One product for each matrix, with all the x that it is used for side by side.
Tensor product_by_pattern(const std::vector<Matrix>& matrices, const std::vector<int>& which,
                          const Tensor& x);

}  // namespace understudy
