#include "coding/matrix/parity_rows.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "coding/matrix/interpolation.h"

namespace understudy {

Matrix vandermonde_rows(const CodeShape& shape) {
  validate(shape);
  Matrix rows(shape.r, shape.k);
  for (int m = 0; m < shape.r; ++m)
    for (int j = 0; j < shape.k; ++j) rows(m, j) = std::pow(j + 1.0, m);
  return rows;
}

Matrix mean_rows(const CodeShape& shape) {
  Matrix rows = vandermonde_rows(shape);
  for (int m = 0; m < shape.r; ++m) {
    const auto row = rows.row(m);
    const double total = std::accumulate(row.begin(), row.end(), 0.0);
    for (double& weight : row) weight /= total;
  }
  return rows;
}

Matrix systematic_berrut_rows(const CodeShape& shape) {
  const CodePoints points = code_points(PointLayout::systematic, shape);
  return berrut_weights(points.data,
                        std::span(points.workers).subspan(static_cast<std::size_t>(shape.k)));
}

bool asks_data(const Matrix& encoding, int j) {
  if (j >= encoding.columns() || j >= encoding.rows()) return false;
  for (int i = 0; i < encoding.columns(); ++i)
    if (encoding(j, i) != (i == j ? 1 : 0)) return false;
  return true;
}

Matrix exact_decoding(const Matrix& encoding, const ErasurePattern& missing, double ridge) {
  const int N = encoding.rows(), k = encoding.columns();
  Matrix decoding(k, N);
  std::vector<int> known, unknown, fitted;  // data units, data units, workers
  for (int i = 0; i < N; ++i) {
    const bool data = asks_data(encoding, i) && !missing.lost(i);
    if (i < k) (data ? known : unknown).push_back(i);
    if (!data && !missing.lost(i)) fitted.push_back(i);
  }
  for (int j : known) decoding(j, j) = 1;
  if (unknown.empty() || fitted.empty()) return decoding;

  // E_fu x_u = y_f − E_fk x_k
  const Matrix inverse = pseudo_inverse(submatrix(encoding, fitted, unknown), ridge);
  const Matrix of_known = product(inverse, submatrix(encoding, fitted, known));
  for (int u = 0; u < inverse.rows(); ++u) {
    const auto row = decoding.row(unknown[static_cast<std::size_t>(u)]);
    for (int f = 0; f < inverse.columns(); ++f)
      row[static_cast<std::size_t>(fitted[static_cast<std::size_t>(f)])] = inverse(u, f);
    for (int j = 0; j < of_known.columns(); ++j)
      row[static_cast<std::size_t>(known[static_cast<std::size_t>(j)])] = -of_known(u, j);
  }
  return decoding;
}

}  // namespace understudy
