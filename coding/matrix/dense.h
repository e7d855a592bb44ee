// Small dense matrices in double, for the matrices of a code: at most some 64 rows, decomposed once
// for each pattern of missing answers. Numbers for tensors come out of here; tensors do not.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

namespace understudy {

class Matrix {
 public:
  Matrix() = default;  // 0 × 0
  Matrix(int rows, int columns, double value = 0);
  Matrix(std::initializer_list<std::initializer_list<double>> rows);  // Error when ragged
  static Matrix identity(int n);

  int rows() const { return rows_; }
  int columns() const { return columns_; }
  double& operator()(int i, int j) { return values_[at(i, j)]; }
  double operator()(int i, int j) const { return values_[at(i, j)]; }
  std::span<double> row(int i) { return std::span(values_).subspan(at(i, 0), width()); }
  std::span<const double> row(int i) const { return std::span(values_).subspan(at(i, 0), width()); }
  const std::vector<double>& values() const { return values_; }  // row by row

  friend bool operator==(const Matrix&, const Matrix&) = default;

 private:
  std::size_t width() const { return static_cast<std::size_t>(columns_); }
  std::size_t at(int i, int j) const {
    return static_cast<std::size_t>(i) * width() + static_cast<std::size_t>(j);
  }
  int rows_ = 0, columns_ = 0;
  std::vector<double> values_;
};

Matrix transposed(const Matrix& a);
Matrix product(const Matrix& a, const Matrix& b);  // Error when the inner sizes differ
// a on top of b; Error when their numbers of columns differ.
Matrix stacked(const Matrix& a, const Matrix& b);
// The given rows and columns, in that order.
Matrix submatrix(const Matrix& a, std::span<const int> rows, std::span<const int> columns);
// (rows, n) with the columns of a at `places`, zeros elsewhere.
Matrix scattered_columns(const Matrix& a, std::span<const int> places, int n);

// a (m, n) = u · diag(values) · vᵀ with u (m, s), v (n, s), s = min(m, n); values descending.
struct SingularValues {
  Matrix u;
  std::vector<double> values;
  Matrix v;
};
// By one-sided Jacobi rotations (Hestenes 1958), which finds small singular values to nearly full
// relative accuracy.
SingularValues singular_values(const Matrix& a);

// V · diag(σ / (σ² + ridge)) · Uᵀ (n, m): the pseudo-inverse for ridge = 0, where singular values
// below rounding count as zero; (AᵀA + ridge·I)⁻¹ Aᵀ otherwise.
Matrix pseudo_inverse(const Matrix& a, double ridge = 0);
// Largest over smallest singular value; infinity for a singular matrix.
double condition_number(const Matrix& a);

double norm_2(std::span<const double> x);
double norm_infinity(const Matrix& a);  // the largest Σ_j |a_ij| of a row

}  // namespace understudy
