// A mean over seeds, and how far it can be trusted.
#pragma once

#include <optional>
#include <span>
#include <string>

namespace understudy::report {

struct Estimate {
  double mean = 0;
  // Half of the 95 % interval of the mean: t · s / √n, with Student's t of n − 1 degrees of freedom
  // and the sample's standard deviation s. Empty for one value.
  std::optional<double> half_width;
  int count = 0;
};

// Error when there are no values.
Estimate estimate(std::span<const double> values);

// The t that 95 % of Student's distribution lies within, on both sides: 12.706 for 1 degree of
// freedom, 4.303 for 2, towards 1.960.
double student_t_95(int degrees);

// 0.97851 ± 0.00123 → "97.85 ± 0.12", in per cent without the sign; "" when empty.
std::string percent_cell(const std::optional<Estimate>& estimate);

}  // namespace understudy::report
