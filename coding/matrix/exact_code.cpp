#include "coding/matrix/exact_code.h"

#include <utility>

#include "coding/matrix/berrut_code.h"
#include "coding/matrix/parity_rows.h"
#include "kernels/check.h"

namespace understudy {
namespace {

bool starts_with_data(const Matrix& encoding) {
  for (int j = 0; j < encoding.columns(); ++j)
    if (!asks_data(encoding, j)) return false;
  return true;
}

}  // namespace

ExactCode::ExactCode(const CodeShape& shape, std::string name, Matrix encoding, double ridge)
    : MatrixCode(shape, std::move(name), starts_with_data(encoding)), ridge_(ridge) {
  if (!(ridge >= 0))
    throw UsageError(fmt::format("the ridge of {} must be 0 or more; got {}", this->name(), ridge));
  set_encoding(std::move(encoding));
}

Matrix ExactCode::decoding_matrix(const ErasurePattern& missing) const {
  return exact_decoding(encoding(), missing, ridge_);
}

std::unique_ptr<ExactCode> mean_code(const CodeShape& shape) {
  validate(shape);
  return std::make_unique<ExactCode>(shape, "mean",
                                     stacked(Matrix::identity(shape.k), mean_rows(shape)));
}

std::unique_ptr<ExactCode> exact_berrut_code(PointLayout layout, const CodeShape& shape,
                                             double ridge) {
  return std::make_unique<ExactCode>(shape, berrut_name(layout) + "-exact",
                                     berrut_encoding(layout, shape), ridge);
}

}  // namespace understudy
