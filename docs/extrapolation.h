// The worked example of docs/adding_a_code.md: a code over two queries that needs no training.
#pragma once

#include "coding/query_code.h"
#include "coding/query_codes.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

// The parity goes on along the line through the two inputs: p = 2·x₂ − x₁. For a model that is
// affine along that line F(p) = 2·F(x₂) − F(x₁), so either missing answer follows from the others.
class Extrapolation : public QueryCode {
 public:
  explicit Extrapolation(const CodeShape& shape) : QueryCode(shape) {
    if (shape != CodeShape{.k = 2, .r = 1})
      throw UsageError(
          fmt::format("extrapolation is for k = 2, r = 1; got k = {}, r = {}", shape.k, shape.r));
  }
  std::string name() const override { return "extrapolation"; }
  std::int64_t encode_multiply_adds(const Shape& image) const override { return image.count(); }
  std::int64_t decode_multiply_adds(std::int64_t classes) const override { return classes; }

 protected:
  // (G, 2, H, W, C) → (G, 1, H, W, C)
  Tensor encode_groups(const Tensor& groups) override {
    return scale(slice(groups, 1, 1, 2), 2) - slice(groups, 1, 0, 1);
  }
  // (G, 3, classes), rows F(x₁), F(x₂), F(p), zeros where an answer is missing → (G, 2, classes).
  // Only rows that were missing are used, so both are worked out as if they were.
  Tensor decode_outputs(const Tensor& outputs, const Erasures&) override {
    const Tensor first = slice(outputs, 1, 0, 1), second = slice(outputs, 1, 1, 2);
    const Tensor parity = slice(outputs, 1, 2, 3);
    return concat({scale(second, 2) - parity, scale(parity + first, 0.5)}, 1);
  }
};

}  // namespace understudy
