#include "tools/report/estimate.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/check.h"

namespace understudy::report {
namespace {

// P(|T| < t) for n degrees of freedom: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4.
double within(double t, int n) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(n)));
  const double sine = std::sin(angle), cosine = std::cos(angle);
  const bool odd = n % 2 == 1;
  double term = odd ? cosine : 1, sum = n == 1 ? 0 : term;
  for (int i = odd ? 3 : 2; i <= n - 2; i += 2) {
    term *= cosine * cosine * (i - 1) / i;
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
}

}  // namespace

double student_t_95(int degrees) {
  check(degrees >= 1, "[student_t_95] {} degrees of freedom, expected 1 or more", degrees);
  double low = 0, high = 13;  // 12.706 for one degree of freedom is the largest
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (within(middle, degrees) < 0.95 ? low : high) = middle;
  }
  return (low + high) / 2;
}

Estimate estimate(std::span<const double> values) {
  check(!values.empty(), "[estimate] no values");
  const double n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  Estimate result{mean, {}, static_cast<int>(values.size())};
  if (result.count > 1)
    result.half_width =
        student_t_95(result.count - 1) * std::sqrt(squares / (n - 1)) / std::sqrt(n);
  return result;
}

std::string percent_cell(const std::optional<Estimate>& estimate) {
  if (!estimate || !std::isfinite(estimate->mean)) return "";
  if (!estimate->half_width) return fmt::format("{:.2f}", 100 * estimate->mean);
  return fmt::format("{:.2f} ± {:.2f}", 100 * estimate->mean, 100 * *estimate->half_width);
}

}  // namespace understudy::report
