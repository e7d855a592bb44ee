// An encoder without parameters, for a learned decoder.
#pragma once

#include "coding/learned/networks.h"
#include "coding/matrix/dense.h"
#include "coding/matrix/pattern_product.h"

namespace understudy {

// Parity plane m is Σ_i rows(m, i) · plane i: the encoders of codes without training
// (coding/matrix/parity_rows.h). Images of any size.
struct FixedEncoder : PlaneEncoder {
  explicit FixedEncoder(Matrix rows);  // (r, k)
  Tensor forward(const Tensor& planes) override;
  void members(Members&) override {}
  std::int64_t multiply_adds(std::int64_t height, std::int64_t width) const override;

  Matrix rows;

 private:
  ResidentMatrix resident_;
};

}  // namespace understudy
