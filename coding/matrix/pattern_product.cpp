#include "coding/matrix/pattern_product.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

void check_sizes(const std::vector<Matrix>& matrices, const std::vector<int>& which,
                 const Tensor& x) {
  check(!matrices.empty() && x.rank() == 3 && x.size(0) == static_cast<std::int64_t>(which.size()),
        "[product_by_pattern] {} matrices and a choice for {} groups do not belong to {}",
        matrices.size(), which.size(), to_string(x.shape()));
  for (const Matrix& matrix : matrices)
    check(matrix.columns() == x.size(1) && matrix.rows() == matrices[0].rows(),
          "[product_by_pattern] matrix ({},{}) x {}", matrix.rows(), matrix.columns(),
          to_string(x.shape()));
  for (int m : which)
    check(m >= 0 && m < static_cast<int>(matrices.size()),
          "[product_by_pattern] matrix {} of {} is asked for", m, matrices.size());
}

Tensor index_tensor(const std::vector<std::int64_t>& index, Device device) {
  return Tensor::from(index, {static_cast<std::int64_t>(index.size())}, device);
}

Tensor product_of(const std::vector<Matrix>& matrices, const std::vector<int>& which,
                  const Tensor& x) {
  NoGradGuard no_grad;
  const std::int64_t B = x.size(0), C = x.size(2), m = matrices[0].rows();
  if (B == 0) return Tensor::empty({0, m, C}, x.dtype(), x.device());
  if (B == 1)
    return matmul(as_tensor(matrices[static_cast<std::size_t>(which[0])], x.dtype(), x.device()),
                  x);
  // Groups with the same matrix next to each other, in `order`, and (n, B·C) for the product.
  std::vector<std::int64_t> order(which.size()), place(which.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return which[static_cast<std::size_t>(a)] < which[static_cast<std::size_t>(b)];
  });
  for (std::size_t i = 0; i < order.size(); ++i)
    place[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  const Tensor sorted = gather_rows(x, index_tensor(order, x.device()));
  const Tensor wide = reshape(permute(sorted, {1, 0, 2}), {x.size(1), B * C});

  Tensor out = Tensor::empty({m, B * C}, x.dtype(), x.device());
  for (std::size_t begin = 0; begin < order.size();) {
    const int matrix = which[static_cast<std::size_t>(order[begin])];
    std::size_t end = begin + 1;
    while (end < order.size() && which[static_cast<std::size_t>(order[end])] == matrix) ++end;
    const std::int64_t from = static_cast<std::int64_t>(begin) * C;
    const std::int64_t to = static_cast<std::int64_t>(end) * C;
    slice(out, 1, from, to)
        .copy_(matmul(as_tensor(matrices[static_cast<std::size_t>(matrix)], x.dtype(), x.device()),
                      slice(wide, 1, from, to)));
    begin = end;
  }
  return gather_rows(permute(reshape(out, {m, B, C}), {1, 0, 2}), index_tensor(place, x.device()));
}

}  // namespace

Tensor as_tensor(const Matrix& matrix, DType dtype, Device device) {
  const Tensor values = Tensor::from(matrix.values(), {matrix.rows(), matrix.columns()});
  return to(cast(values, dtype), device);
}

Tensor ResidentMatrix::get(const Matrix& matrix, DType dtype, Device device) const {
  const std::lock_guard lock(mutex_);
  if (!tensor_.defined() || tensor_.dtype() != dtype || tensor_.device() != device ||
      matrix_ != matrix) {
    tensor_ = as_tensor(matrix, dtype, device);
    matrix_ = matrix;
  }
  return tensor_;
}

Tensor product_by_pattern(const std::vector<Matrix>& matrices, const std::vector<int>& which,
                          const Tensor& x) {
  check_sizes(matrices, which, x);
  return record("product_by_pattern", product_of(matrices, which, x), {x},
                [matrices, which](const Tensor& dy, Wanted) {
                  std::vector<Matrix> back(matrices.size());
                  std::ranges::transform(matrices, back.begin(), transposed);
                  return Gradients{product_of(back, which, dy)};
                });
}

}  // namespace understudy
