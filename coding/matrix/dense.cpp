#include "coding/matrix/dense.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/check.h"

namespace understudy {
namespace {

constexpr double rounding = std::numeric_limits<double>::epsilon();

double dot(std::span<const double> x, std::span<const double> y) {
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

// (x, y) → (c·x − s·y, s·x + c·y)
void rotate(std::span<double> x, std::span<double> y, double c, double s) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double before = x[i];
    x[i] = c * before - s * y[i];
    y[i] = s * before + c * y[i];
  }
}

// Singular values up to this are zero but for rounding.
double negligible(const SingularValues& svd) {
  const int larger = std::max(svd.u.rows(), svd.v.rows());
  return svd.values.empty() ? 0 : larger * rounding * svd.values[0];
}

}  // namespace

Matrix::Matrix(int rows, int columns, double value)
    : rows_(rows),
      columns_(columns),
      values_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), value) {}

Matrix::Matrix(std::initializer_list<std::initializer_list<double>> rows)
    : rows_(static_cast<int>(rows.size())),
      columns_(rows.size() == 0 ? 0 : static_cast<int>(rows.begin()->size())) {
  for (const auto& row : rows) {
    check(row.size() == width(), "[matrix] a row of {} numbers in a matrix of {} columns",
          row.size(), columns_);
    values_.insert(values_.end(), row.begin(), row.end());
  }
}

Matrix Matrix::identity(int n) {
  Matrix one(n, n);
  for (int i = 0; i < n; ++i) one(i, i) = 1;
  return one;
}

Matrix transposed(const Matrix& a) {
  Matrix t(a.columns(), a.rows());
  for (int i = 0; i < a.rows(); ++i)
    for (int j = 0; j < a.columns(); ++j) t(j, i) = a(i, j);
  return t;
}

Matrix product(const Matrix& a, const Matrix& b) {
  check(a.columns() == b.rows(), "[matrix] ({},{}) x ({},{}): inner sizes {} and {} differ",
        a.rows(), a.columns(), b.rows(), b.columns(), a.columns(), b.rows());
  Matrix c(a.rows(), b.columns());
  for (int i = 0; i < a.rows(); ++i)
    for (int l = 0; l < a.columns(); ++l)
      for (int j = 0; j < b.columns(); ++j) c(i, j) += a(i, l) * b(l, j);
  return c;
}

Matrix stacked(const Matrix& a, const Matrix& b) {
  check(a.columns() == b.columns(), "[matrix] {} columns on top of {}", a.columns(), b.columns());
  Matrix both(a.rows() + b.rows(), a.columns());
  for (int i = 0; i < both.rows(); ++i) {
    const auto row = i < a.rows() ? a.row(i) : b.row(i - a.rows());
    std::copy(row.begin(), row.end(), both.row(i).begin());
  }
  return both;
}

Matrix submatrix(const Matrix& a, std::span<const int> rows, std::span<const int> columns) {
  Matrix part(static_cast<int>(rows.size()), static_cast<int>(columns.size()));
  for (int i = 0; i < part.rows(); ++i)
    for (int j = 0; j < part.columns(); ++j)
      part(i, j) = a(rows[static_cast<std::size_t>(i)], columns[static_cast<std::size_t>(j)]);
  return part;
}

Matrix scattered_columns(const Matrix& a, std::span<const int> places, int n) {
  Matrix wide(a.rows(), n);
  for (int i = 0; i < a.rows(); ++i)
    for (int j = 0; j < a.columns(); ++j) wide(i, places[static_cast<std::size_t>(j)]) = a(i, j);
  return wide;
}

SingularValues singular_values(const Matrix& a) {
  if (a.rows() < a.columns()) {
    SingularValues svd = singular_values(transposed(a));
    std::swap(svd.u, svd.v);
    return svd;
  }
  // The columns of a are the rows here, rotated in pairs until all are orthogonal; v has the same
  // rotations. Then their lengths are the singular values.
  const int n = a.columns();
  Matrix columns = transposed(a), v = Matrix::identity(n);
  bool turned = true;
  for (int sweep = 0; sweep < 60 && turned; ++sweep) {
    turned = false;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) {
        const double pp = dot(columns.row(p), columns.row(p));
        const double qq = dot(columns.row(q), columns.row(q));
        const double pq = dot(columns.row(p), columns.row(q));
        if (!(std::abs(pq) > rounding * std::sqrt(pp * qq))) continue;
        turned = true;
        const double zeta = (qq - pp) / (2 * pq);
        const double t = std::copysign(1 / (std::abs(zeta) + std::hypot(1, zeta)), zeta);
        const double c = 1 / std::hypot(1, t);
        rotate(columns.row(p), columns.row(q), c, c * t);
        rotate(v.row(p), v.row(q), c, c * t);
      }
  }

  std::vector<int> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int p, int q) { return norm_2(columns.row(p)) > norm_2(columns.row(q)); });
  SingularValues svd{Matrix(a.rows(), n), {}, Matrix(n, n)};
  for (int j = 0; j < n; ++j) {
    const auto column = columns.row(order[static_cast<std::size_t>(j)]);
    const auto direction = v.row(order[static_cast<std::size_t>(j)]);
    const double length = norm_2(column);
    svd.values.push_back(length);
    for (int i = 0; i < a.rows(); ++i)
      svd.u(i, j) = length > 0 ? column[static_cast<std::size_t>(i)] / length : 0;
    for (int i = 0; i < n; ++i) svd.v(i, j) = direction[static_cast<std::size_t>(i)];
  }
  return svd;
}

Matrix pseudo_inverse(const Matrix& a, double ridge) {
  check(ridge >= 0, "[pseudo_inverse] the ridge {} is negative", ridge);
  SingularValues svd = singular_values(a);
  const double zero = negligible(svd);
  for (int s = 0; s < static_cast<int>(svd.values.size()); ++s) {
    const double value = svd.values[static_cast<std::size_t>(s)];
    const double factor = value > zero ? value / (value * value + ridge) : 0;
    for (int i = 0; i < svd.v.rows(); ++i) svd.v(i, s) *= factor;
  }
  return product(svd.v, transposed(svd.u));
}

double condition_number(const Matrix& a) {
  const SingularValues svd = singular_values(a);
  if (svd.values.empty()) return 1;
  const double smallest = svd.values.back();
  return smallest > negligible(svd) ? svd.values[0] / smallest
                                    : std::numeric_limits<double>::infinity();
}

double norm_2(std::span<const double> x) { return std::sqrt(dot(x, x)); }

double norm_infinity(const Matrix& a) {
  double largest = 0;
  for (int i = 0; i < a.rows(); ++i) {
    double total = 0;
    for (double value : a.row(i)) total += std::abs(value);
    if (std::isnan(total)) return total;
    largest = std::max(largest, total);
  }
  return largest;
}

}  // namespace understudy
