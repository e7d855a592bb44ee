#include "coding/learned/fixed_encoder.h"

#include <utility>

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

FixedEncoder::FixedEncoder(Matrix rows_) : rows(std::move(rows_)) {}

Tensor FixedEncoder::forward(const Tensor& planes) {
  check(planes.rank() == 4 && planes.size(1) == rows.columns(),
        "[FixedEncoder] made for planes (M,{},H,W), got {}", rows.columns(),
        to_string(planes.shape()));
  const std::int64_t M = planes.size(0), k = planes.size(1), H = planes.size(2), W = planes.size(3);
  const Tensor mixed =
      matmul(resident_.get(rows, planes.dtype(), planes.device()), reshape(planes, {M, k, H * W}));
  return reshape(mixed, {M, rows.rows(), H, W});
}

std::int64_t FixedEncoder::multiply_adds(std::int64_t height, std::int64_t width) const {
  return static_cast<std::int64_t>(rows.values().size()) * height * width;
}

}  // namespace understudy
