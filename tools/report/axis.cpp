#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "tools/report/chart.h"

namespace understudy::report {
namespace {

// 1, 2, 5 or 10 times a power of ten, whichever is nearest to span / count by ratio.
double nice_step(double span, int count) {
  const double rough = span / std::max(1, count);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double lead = rough / power;
  return power * (lead < 1.414 ? 1 : lead < 3.162 ? 2 : lead < 7.071 ? 5 : 10);
}

int decimals_of(double step) {
  return std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 12);
}

}  // namespace

double Axis::place(double value) const {
  if (!logarithmic) return (value - low) / (high - low);
  return std::log(value / low) / std::log(high / low);
}

Axis linear_axis(double low, double high, int count) {
  if (!std::isfinite(high - low)) low = 0, high = 1;
  if (low > high) std::swap(low, high);
  // Closer together than this, tick labels could not tell the ends apart.
  if (const double least = 1e-9 * std::max(std::abs(low), std::abs(high)); high - low <= least) {
    const double pad = low == 0 ? 1 : 0.1 * std::abs(low);
    low -= pad, high += pad;
  }
  const double step = nice_step(high - low, count);
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  Axis axis{first * step, last * step, false, {}, decimals_of(step)};
  for (double i = first; i <= last; ++i) axis.ticks.push_back(i * step);
  return axis;
}

Axis count_axis(double low, double high, int count) {
  check(std::isfinite(low) && std::isfinite(high) && low <= high,
        "[count_axis] ends {} and {} are not an interval", low, high);
  // Far out there are no whole numbers between one double and the next.
  if (std::max(std::abs(low), std::abs(high)) > 1e9) return linear_axis(low, high, count);
  Axis axis{low, high, false, {}, 0};
  if (low == high) axis.low -= 0.5, axis.high += 0.5;
  const double step = std::max(1.0, nice_step(axis.high - axis.low, count));
  for (double i = std::ceil(axis.low / step); i * step <= axis.high; ++i)
    axis.ticks.push_back(i * step);
  return axis;
}

Axis log_axis(double low, double high) {
  check(low > 0 && low <= high && std::isfinite(high),
        "[log_axis] ends {} and {}: a logarithmic axis needs 0 < low <= high", low, high);
  // Every 1, 2 and 5 times a power of ten from the last one below `low` to the first above `high`.
  std::vector<double> steps;
  for (double p = std::floor(std::log10(low)) - 1; p <= std::ceil(std::log10(high)) + 1; ++p)
    for (const int lead : {1, 2, 5}) steps.push_back(lead * std::pow(10.0, p));
  const double slack = 1 + 1e-9;
  auto first = std::upper_bound(steps.begin(), steps.end(), low * slack) - 1;
  auto last = std::lower_bound(steps.begin(), steps.end(), high / slack);
  if (first == last) --first, ++last;
  Axis axis{*first, *last, true, {}, 0};
  for (auto at = first; at <= last; ++at)
    if ((at - steps.begin()) % 3 == 0) axis.ticks.push_back(*at);
  if (axis.ticks.size() < 3) axis.ticks.assign(first, last + 1);
  return axis;
}

std::string tick_label(const Axis& axis, double tick) {
  if (axis.logarithmic)
    return tick < 1e-4 || tick > 1e5 ? fmt::format("{:.0e}", tick) : fmt::format("{:.10g}", tick);
  const double shown = std::abs(tick) < 1e-12 * (axis.high - axis.low) ? 0.0 : tick;
  return fmt::format("{:.{}f}", shown, axis.decimals);
}

}  // namespace understudy::report
