#include "coding/matrix/smoothing_spline.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/check.h"

namespace understudy {
namespace {

// Fitted values g and second derivatives γ at ascending knots, for every vector of values at once:
// column j is the answer to the j-th unit vector. (m, m) each.
struct SplineFit {
  Matrix values, curvatures;
};

SplineFit fit(std::span<const double> t, double lambda) {
  const int m = static_cast<int>(t.size());
  SplineFit spline{Matrix::identity(m), Matrix(m, m)};
  if (m < 3) return spline;
  const auto h = [&](int i) {
    return t[static_cast<std::size_t>(i) + 1] - t[static_cast<std::size_t>(i)];
  };
  Matrix Q(m, m - 2), R(m - 2, m - 2);
  for (int j = 0; j < m - 2; ++j) {
    Q(j, j) = 1 / h(j);
    Q(j + 1, j) = -1 / h(j) - 1 / h(j + 1);
    Q(j + 2, j) = 1 / h(j + 1);
    R(j, j) = (h(j) + h(j + 1)) / 3;
    if (j + 1 < m - 2) R(j, j + 1) = R(j + 1, j) = h(j + 1) / 6;
  }
  const Matrix Qt = transposed(Q), QtQ = product(Qt, Q);
  const double weight = m * lambda;
  for (int i = 0; i < m - 2; ++i)
    for (int j = 0; j < m - 2; ++j) R(i, j) += weight * QtQ(i, j);
  const Matrix inner = product(pseudo_inverse(R), Qt);  // γ at the inner knots; 0 at the ends
  const Matrix bend = product(Q, inner);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < m; ++j) {
      spline.values(i, j) -= weight * bend(i, j);
      if (i > 0 && i < m - 1) spline.curvatures(i, j) = inner(i - 1, j);
    }
  return spline;
}

}  // namespace

Matrix spline_weights(std::span<const double> nodes, std::span<const double> at, double lambda) {
  check(!nodes.empty() && lambda >= 0 && std::isfinite(lambda),
        "[spline_weights] {} nodes and lambda = {}: expected 1 and 0 at least", nodes.size(),
        lambda);
  const int m = static_cast<int>(nodes.size());
  std::vector<std::size_t> order(nodes.size());  // of ascending nodes
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return nodes[i]; });
  std::vector<double> t(nodes.begin(), nodes.end());
  std::ranges::sort(t);
  check(std::ranges::adjacent_find(t) == t.end(), "[spline_weights] two nodes are the same");

  Matrix weights(static_cast<int>(at.size()), m);
  if (m == 1) return Matrix(weights.rows(), 1, 1.0);
  const auto [g, gamma] = fit(t, lambda);
  for (int row = 0; row < weights.rows(); ++row) {
    const double z = at[static_cast<std::size_t>(row)];
    // The interval [t_i, t_{i+1}] of z, or the nearest one.
    const auto above = std::upper_bound(t.begin() + 1, t.end() - 1, z);
    const int i = static_cast<int>(above - t.begin()) - 1;
    const double left = z - t[static_cast<std::size_t>(i)];
    const double h = t[static_cast<std::size_t>(i) + 1] - t[static_cast<std::size_t>(i)];
    const double right = h - left;
    for (int j = 0; j < m; ++j) {
      const double line = (left * g(i + 1, j) + right * g(i, j)) / h;
      // Beyond an end the spline goes on along its tangent there; γ is 0 at that end.
      double curve = 0;
      if (left < 0)
        curve = -left * h * gamma(i + 1, j) / 6;
      else if (right < 0)
        curve = -right * h * gamma(i, j) / 6;
      else
        curve =
            -left * right / 6 * ((1 + left / h) * gamma(i + 1, j) + (1 + right / h) * gamma(i, j));
      weights(row, static_cast<int>(order[static_cast<std::size_t>(j)])) = line + curve;
    }
  }
  return weights;
}

}  // namespace understudy
