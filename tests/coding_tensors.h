// What the tests of codes over models share: tensors to begin from, and how far two are apart.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "engine/random.h"

namespace understudy::testing {

// Uniform in [-1, 1).
inline Tensor random(const Shape& shape, std::uint64_t seed, DType dtype = DType::f32) {
  Generator generator(seed, Stream::test);
  Tensor x = Tensor::empty(shape, dtype);
  fill_uniform(x, generator, -1, 1);
  return x;
}

// NaN where any element of either is.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = cast(a.detach(), DType::f64).to_vector<double>();
  const auto y = cast(b.detach(), DType::f64).to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = std::abs(x[i] - y[i]);
    if (std::isnan(difference)) return difference;
    worst = std::max(worst, difference);
  }
  return worst;
}

}  // namespace understudy::testing
