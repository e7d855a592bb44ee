#include "coding/matrix/wrong_answers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/check.h"

namespace understudy {
namespace {

// T_0 .. T_degree at each point: (n, degree + 1).
Matrix chebyshev_polynomials(std::span<const double> points, int degree) {
  Matrix values(static_cast<int>(points.size()), degree + 1);
  for (int i = 0; i < values.rows(); ++i) {
    const double x = points[static_cast<std::size_t>(i)];
    for (int j = 0; j <= degree; ++j)
      values(i, j) = j == 0 ? 1 : j == 1 ? x : 2 * x * values(i, j - 1) - values(i, j - 2);
  }
  return values;
}

// I − U·Uᵀ: what no combination of the columns of a reaches.
Matrix complement_of(const Matrix& a) {
  const Matrix u = singular_values(a).u;
  Matrix projection = product(u, transposed(u));
  for (int i = 0; i < projection.rows(); ++i)
    for (int j = 0; j < projection.columns(); ++j)
      projection(i, j) = (i == j ? 1 : 0) - projection(i, j);
  return projection;
}

// |Q| at every point, its largest 1: of all Q with coefficients of norm 1, the one with the least
// ‖complement · diag(y) · Q‖.
std::vector<double> denominator(const Matrix& complement, const Matrix& basis,
                                const std::vector<double>& y) {
  Matrix weighted = basis;
  for (int i = 0; i < weighted.rows(); ++i)
    for (double& value : weighted.row(i)) value *= y[static_cast<std::size_t>(i)];
  const Matrix v = singular_values(product(complement, weighted)).v;
  std::vector<double> q(y.size(), 0.0);
  for (int i = 0; i < basis.rows(); ++i)
    for (int j = 0; j < basis.columns(); ++j)
      q[static_cast<std::size_t>(i)] += basis(i, j) * v(j, v.columns() - 1);
  double largest = 0;
  for (double& value : q) {
    value = std::abs(value);
    largest = std::max(largest, value);
  }
  for (double& value : q) value /= largest;
  return q;
}

// The `count` first places when sorted by `less`, ascending.
template <class Less>
std::vector<int> first_places(std::size_t places, int count, Less less) {
  std::vector<int> order(places);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, less);
  order.resize(static_cast<std::size_t>(count));
  std::ranges::sort(order);
  return order;
}

}  // namespace

int answers_to_locate(int k, int wrong) { return 2 * (k + wrong) - 1; }

std::vector<int> locate_wrong(std::span<const double> points, const Matrix& answers, int k,
                              int wrong) {
  const std::size_t n = points.size();
  check(wrong >= 0 && k >= 1 && answers.rows() == static_cast<int>(n),
        "[locate_wrong] answers ({},{}) at {} points; {} wrong for k = {}", answers.rows(),
        answers.columns(), n, wrong, k);
  check(answers.rows() >= answers_to_locate(k, wrong),
        "[locate_wrong] finding {} wrong answers for k = {} takes at least {} answers; got {}",
        wrong, k, answers_to_locate(k, wrong), n);
  if (wrong == 0) return {};
  const Matrix basis = chebyshev_polynomials(points, k + wrong - 1);
  const Matrix complement = complement_of(basis);

  std::vector<int> votes(n, 0);
  std::vector<double> belief(n, 0.0);  // Σ |Q| over the classes: between equal votes
  for (int c = 0; c < answers.columns(); ++c) {
    std::vector<double> y(n);
    for (int i = 0; i < answers.rows(); ++i) y[static_cast<std::size_t>(i)] = answers(i, c);
    const std::vector<double> q = denominator(complement, basis, y);
    for (std::size_t i = 0; i < n; ++i) belief[i] += q[i];
    for (int i : first_places(n, wrong, [&](int a, int b) {
           return q[static_cast<std::size_t>(a)] < q[static_cast<std::size_t>(b)];
         }))
      ++votes[static_cast<std::size_t>(i)];
  }
  return first_places(n, wrong, [&](int a, int b) {
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    return votes[i] != votes[j] ? votes[i] > votes[j] : belief[i] < belief[j];
  });
}

}  // namespace understudy
