// A batch norm's statistics by the definition, in long double, and how far a backend's are from them.
#pragma once

#include <algorithm>
#include <cmath>

#include "tests/kernels_arrays.h"

namespace understudy::testing {

inline std::int64_t channels_of(const Dims& shape) { return shape.back(); }
inline std::int64_t rows_of(const Dims& shape) {
  return channels_of(shape) == 0 ? 0 : shape.count() / channels_of(shape);
}

// The largest of all channels: of the mean in units of the larger of mean and deviation, of the
// variance in units of itself. NaN stays.
struct StatisticsError {
  double mean = 0, variance = 0;
};

// mean and variance (C) as a backend gave them for x (..., C).
template <class T>
StatisticsError statistics_error(const Array<T>& x, const Array<T>& mean,
                                 const Array<T>& variance) {
  const std::int64_t C = channels_of(x.shape()), rows = rows_of(x.shape());
  StatisticsError worst;
  for (std::int64_t c = 0; c < C; ++c) {
    long double sum = 0, square = 0;
    for (std::int64_t r = 0; r < rows; ++r) sum += static_cast<long double>(x[r * C + c]);
    const long double wanted = sum / static_cast<long double>(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      const long double d = static_cast<long double>(x[r * C + c]) - wanted;
      square += d * d;
    }
    const double center = static_cast<double>(wanted);
    const double spread = static_cast<double>(square / static_cast<long double>(rows));
    const double off = std::abs(static_cast<double>(mean[c]) - center) /
                       std::max({std::abs(center), std::sqrt(spread), 1e-30});
    const double wrong =
        std::abs(static_cast<double>(variance[c]) - spread) / std::max(spread, 1e-30);
    if (!(off <= worst.mean)) worst.mean = off;
    if (!(wrong <= worst.variance)) worst.variance = wrong;
  }
  return worst;
}

}  // namespace understudy::testing
