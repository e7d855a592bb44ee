#include "coding/matrix/interpolation.h"

#include <cmath>
#include <numbers>

#include "kernels/check.h"

namespace understudy {
namespace {

using std::numbers::pi;

// The two formulas for a point may round a point that both have differently.
constexpr double same_point = 1e-12;

// cos((2j+1)π/2n), j < count: the first of n Chebyshev nodes.
std::vector<double> chebyshev(int count, int n) {
  std::vector<double> points(static_cast<std::size_t>(count));
  for (int j = 0; j < count; ++j)
    points[static_cast<std::size_t>(j)] = std::cos((2 * j + 1) * pi / (2 * n));
  return points;
}

// cos(iπ/n), i < count.
std::vector<double> equal_angles(int count, int n) {
  std::vector<double> points(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) points[static_cast<std::size_t>(i)] = std::cos(i * pi / n);
  return points;
}

}  // namespace

CodePoints code_points(PointLayout layout, const CodeShape& shape) {
  validate(shape);
  if (shape.r < 1)
    throw UsageError(fmt::format("a code with matrices needs r >= 1 parities; got k = {}, r = {}",
                                 shape.k, shape.r));
  const int k = shape.k, N = shape.units();
  switch (layout) {
    case PointLayout::spread:
      return {chebyshev(k, k), equal_angles(N, N - 1)};
    case PointLayout::released:
      return {chebyshev(k, k), equal_angles(N, N)};
    case PointLayout::systematic:
      return {chebyshev(k, N), chebyshev(N, N)};
  }
  fail("[code_points] unknown layout {}", static_cast<int>(layout));
}

AnsweredWorkers answered_workers(const CodePoints& points, const ErasurePattern& missing) {
  AnsweredWorkers answered;
  for (int i = 0; i < static_cast<int>(points.workers.size()); ++i) {
    if (missing.lost(i)) continue;
    answered.workers.push_back(i);
    answered.points.push_back(points.workers[static_cast<std::size_t>(i)]);
  }
  return answered;
}

Matrix berrut_weights(std::span<const double> nodes, std::span<const double> at) {
  check(!nodes.empty(), "[berrut_weights] no nodes to interpolate from");
  Matrix weights(static_cast<int>(at.size()), static_cast<int>(nodes.size()));
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto row = weights.row(static_cast<int>(i));
    double total = 0, sign = 1;
    std::size_t node = nodes.size();
    for (std::size_t j = 0; j < nodes.size(); ++j, sign = -sign) {
      const double distance = at[i] - nodes[j];
      if (std::abs(distance) <= same_point) node = j;
      row[j] = sign / distance;
      total += row[j];
    }
    for (std::size_t j = 0; j < nodes.size(); ++j)
      row[j] = node < nodes.size() ? (j == node ? 1 : 0) : row[j] / total;
  }
  return weights;
}

}  // namespace understudy
