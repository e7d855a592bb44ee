#include "coding/matrix/matrix_code.h"

#include <algorithm>
#include <utility>

#include "coding/matrix/parity_rows.h"
#include "coding/matrix/pattern_product.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Patterns whose matrices are kept. Beyond, all are forgotten: some 16 KB each at most.
constexpr std::size_t most_kept = 4096;

// (G, k, H, W, C) by matrix (n, k) → (G, n, H, W, C)
Tensor mix_units(const Tensor& matrix, const Tensor& groups) {
  const std::int64_t G = groups.size(0), H = groups.size(2), W = groups.size(3), C = groups.size(4);
  const Tensor mixed = matmul(matrix, reshape(groups, {G, groups.size(1), H * W * C}));
  return reshape(mixed, {G, matrix.size(0), H, W, C});
}

// Multiply-adds of a product with `matrix`, for each column: rows that take one value as it is are
// free, and so are zeros.
std::int64_t arithmetic(const Matrix& matrix) {
  std::int64_t total = 0;
  for (int i = 0; i < matrix.rows(); ++i) {
    const auto row = matrix.row(i);
    const auto zeros = std::count(row.begin(), row.end(), 0.0);
    const std::int64_t used = matrix.columns() - static_cast<std::int64_t>(zeros);
    const bool copy = used == 1 && std::count(row.begin(), row.end(), 1.0) == 1;
    if (!copy) total += used;
  }
  return total;
}

}  // namespace

MatrixCode::MatrixCode(const CodeShape& shape, std::string name, bool systematic)
    : QueryCode(shape), name_(std::move(name)), systematic_(systematic) {
  if (shape.r < 1)
    throw UsageError(
        fmt::format("{} needs r >= 1 parities; got k = {}, r = {}", name_, shape.k, shape.r));
}

void MatrixCode::set_encoding(Matrix encoding) {
  check(encoding.rows() == shape().units() && encoding.columns() == shape().k,
        "[{}] an encoding of ({},{}) for k = {}, r = {}", name_, encoding.rows(),
        encoding.columns(), shape().k, shape().r);
  for (int j = 0; systematic_ && j < shape().k; ++j)
    check(asks_data(encoding, j), "[{}] row {} of a systematic encoding is not data unit {} itself",
          name_, j, j);
  encoding_ = std::move(encoding);
  forget_decodings();
}

void MatrixCode::forget_decodings() {
  const std::lock_guard lock(mutex_);
  decodings_.clear();
}

std::shared_ptr<const Matrix> MatrixCode::decoding(const ErasurePattern& missing) const {
  const std::lock_guard lock(mutex_);
  const auto found = decodings_.find(missing.bits());
  if (found != decodings_.end()) return found->second;
  Matrix matrix = decoding_matrix(missing);
  check(matrix.rows() == shape().k && matrix.columns() == shape().units(),
        "[{}] a decoding of ({},{}) for k = {}, r = {}", name_, matrix.rows(), matrix.columns(),
        shape().k, shape().r);
  for (int j = 0; j < matrix.rows(); ++j) {
    const bool as_answered = systematic_ && !missing.lost(j);
    for (int i = 0; i < matrix.columns(); ++i)
      if (as_answered || missing.lost(i)) matrix(j, i) = as_answered && i == j ? 1 : 0;
  }
  if (decodings_.size() >= most_kept) decodings_.clear();
  return decodings_.emplace(missing.bits(), std::make_shared<const Matrix>(std::move(matrix)))
      .first->second;
}

Tensor MatrixCode::queries(const Tensor& groups) {
  if (systematic_) return QueryCode::queries(groups);
  check(groups.rank() == 5 && groups.size(1) == shape().k,
        "[{}] expected groups (G,{},H,W,C), got {}", name_, shape().k, to_string(groups.shape()));
  return mix_units(resident_.get(encoding_, groups.dtype(), groups.device()), groups);
}

Tensor MatrixCode::encode_groups(const Tensor& groups) {
  Matrix parities(shape().r, shape().k);
  for (int m = 0; m < shape().r; ++m)
    std::ranges::copy(std::as_const(encoding_).row(shape().k + m), parities.row(m).begin());
  return mix_units(resident_.get(parities, groups.dtype(), groups.device()), groups);
}

Tensor MatrixCode::decode_outputs(const Tensor& outputs, const Erasures& erasures) {
  return decode_patterns(outputs, erasures.patterns());
}

Tensor MatrixCode::decode_patterns(const Tensor& outputs,
                                   const std::vector<ErasurePattern>& patterns) const {
  std::vector<Matrix> matrices;
  std::unordered_map<std::uint64_t, int> numbers;
  std::vector<int> which;
  which.reserve(patterns.size());
  for (const ErasurePattern& pattern : patterns) {
    const auto [found, is_new] =
        numbers.try_emplace(pattern.bits(), static_cast<int>(matrices.size()));
    if (is_new) matrices.push_back(*decoding(pattern));
    which.push_back(found->second);
  }
  if (matrices.empty())  // no group at all
    return Tensor::empty({0, shape().k, outputs.size(2)}, outputs.dtype(), outputs.device());
  return product_by_pattern(matrices, which, outputs);
}

std::int64_t MatrixCode::encode_multiply_adds(const Shape& image) const {
  return arithmetic(encoding_) * image.count();
}

std::int64_t MatrixCode::decode_multiply_adds(std::int64_t classes) const {
  ErasurePattern worst;
  for (int j = 0; j < std::min(shape().k, most_losses()); ++j) worst.lose(j);
  return arithmetic(*decoding(worst)) * classes;
}

}  // namespace understudy
