// The formulas of batch norm (kernels/backend.h), for host and device.
#pragma once

#include <cstdint>

#include "kernels/math.h"

namespace understudy::batch_norm {

// Sums by channel are made in T over this many rows, and those in double: as exact as T can hold
// the result, at a few hundredths of the cost of adding every element in double.
inline constexpr std::int64_t rows_per_sum = 32;

UNDERSTUDY_HD double inverse_deviation(double variance, double eps) {
  return 1 / math::sqrt(variance + eps);
}

// ---- forward; scale = weight · inverse deviation ----

template <class T>
UNDERSTUDY_HD T normalized(T centred, T scale, T bias) {
  return centred * scale + bias;
}

// ---- backward; g is the dy that passes the ReLU ----

// With the means of g and of g · (x - mean) over the batch: mean_dy, and slope, which is the latter
// over the variance. Both are zero where mean and variance are constants.
template <class T>
UNDERSTUDY_HD T through_statistics(T g, T centred, T mean_dy, T slope) {
  return g - mean_dy - centred * slope;
}
UNDERSTUDY_HD double slope_of(double product, double deviation, double rows) {
  return product * deviation * deviation / rows;
}

// ---- statistics ----

// With d = x - b, b one of some R rows: Σd and Σd² lose nothing however large the mean is, for
// (mean - b)² is at most R times those rows' variance. Both are then moved to a pivot that is common
// to all rows: with δ = b - pivot, Σ(x - pivot) = Σd + Rδ and Σ(x - pivot)² = Σd² + δ(2Σd + Rδ).
UNDERSTUDY_HD void add_moments(double& sum, double& square, double R, double delta, double d,
                               double d_square) {
  sum += d + R * delta;
  square += d_square + delta * (2 * d + R * delta);
}

struct Statistics {
  double mean, variance;
};
// From those sums over all rows. NaN stays.
UNDERSTUDY_HD Statistics statistics_of(double sum, double square, double rows, double pivot) {
  const double offset = sum / rows;
  const double spread = square / rows - offset * offset;
  return {pivot + offset, spread < 0 ? 0 : spread};
}

}  // namespace understudy::batch_norm
