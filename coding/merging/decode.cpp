#include "coding/merging/decode.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

using Matrix = std::vector<std::vector<double>>;

Matrix zeros(std::size_t rows, std::size_t columns) {
  return Matrix(rows, std::vector<double>(columns, 0.0));
}

// Thin QR by modified Gram–Schmidt, twice for accuracy, then back substitution: the pseudo-inverse
// (s, m) of b (m, s), s <= m. False when the columns of b are dependent.
bool pseudo_inverse(const Matrix& b, Matrix& inverse) {
  const std::size_t m = b.size(), s = b[0].size();
  Matrix q = b, r = zeros(s, s);
  double largest = 0;
  for (std::size_t j = 0; j < s; ++j) {
    double before = 0;
    for (std::size_t a = 0; a < m; ++a) before += q[a][j] * q[a][j];
    largest = std::max(largest, before);
    for (int round = 0; round < 2; ++round)
      for (std::size_t i = 0; i < j; ++i) {
        double dot = 0;
        for (std::size_t a = 0; a < m; ++a) dot += q[a][i] * q[a][j];
        for (std::size_t a = 0; a < m; ++a) q[a][j] -= dot * q[a][i];
        r[i][j] += dot;
      }
    double norm = 0;
    for (std::size_t a = 0; a < m; ++a) norm += q[a][j] * q[a][j];
    norm = std::sqrt(norm);
    if (!(norm > 1e-10 * std::sqrt(largest))) return false;
    r[j][j] = norm;
    for (std::size_t a = 0; a < m; ++a) q[a][j] /= norm;
  }
  inverse = zeros(s, m);
  for (std::size_t a = 0; a < m; ++a)
    for (std::size_t i = s; i-- > 0;) {
      double value = q[a][i];
      for (std::size_t j = i + 1; j < s; ++j) value -= r[i][j] * inverse[j][a];
      inverse[i][a] = value / r[i][i];
    }
  return true;
}

// The largest singular value, by power iteration on the small matrix aᵀa.
double norm2(const Matrix& a) {
  const std::size_t rows = a.size(), columns = a[0].size();
  std::vector<double> x(columns);
  for (std::size_t j = 0; j < columns; ++j) x[j] = 1.0 + 0.1 * static_cast<double>(j);
  double norm = 0;
  for (int step = 0; step < 200; ++step) {
    std::vector<double> y(columns, 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      double dot = 0;
      for (std::size_t j = 0; j < columns; ++j) dot += a[i][j] * x[j];
      for (std::size_t j = 0; j < columns; ++j) y[j] += a[i][j] * dot;
    }
    double length = 0;
    for (double value : y) length += value * value;
    length = std::sqrt(length);
    if (length == 0) return 0;
    for (double& value : y) value /= length;
    norm = std::sqrt(length);
    x = y;
  }
  return norm;
}

}  // namespace

Tensor decode_model(const Tensor& coded, const std::vector<Tensor>& outputs,
                    const std::vector<double>& weights, int late) {
  return decode_models({coded}, outputs, {weights}, {late}).decoded[0];
}

ModelDecoding decode_models(const std::vector<Tensor>& coded, const std::vector<Tensor>& outputs,
                            const std::vector<std::vector<double>>& weights,
                            const std::vector<int>& late) {
  const std::size_t m = coded.size(), n = outputs.size(), s = late.size();
  check(m >= 1 && weights.size() == m, "[decode_models] {} coded answers and {} rows of weights", m,
        weights.size());
  check(s <= m,
        "[decode_models] {} models are late, but {} coded answer{} can stand in for {} only", s, m,
        m == 1 ? "" : "s", m);
  if (s == 0) return {};
  std::vector<bool> missing(n, false);
  for (int j : late) {
    check(j >= 0 && static_cast<std::size_t>(j) < n && !missing[static_cast<std::size_t>(j)],
          "[decode_models] late model {} is not one of {}, or is named twice", j, n);
    missing[static_cast<std::size_t>(j)] = true;
  }
  Matrix b = zeros(m, s);
  for (std::size_t a = 0; a < m; ++a) {
    check(weights[a].size() == n, "[decode_models] {} weights for {} models", weights[a].size(), n);
    for (std::size_t j = 0; j < s; ++j) b[a][j] = weights[a][static_cast<std::size_t>(late[j])];
  }
  Matrix inverse;
  check(pseudo_inverse(b, inverse),
        "[decode_models] the weights cannot tell the {} late models apart", s);

  std::vector<Tensor> rest;  // f_c − B_S̄ f_S̄
  for (std::size_t a = 0; a < m; ++a) {
    Tensor left = coded[a];
    for (std::size_t i = 0; i < n; ++i) {
      if (missing[i]) continue;
      check(outputs[i].defined() && outputs[i].shape() == coded[a].shape(),
            "[decode_models] the answer of model {} is missing or not {}", i,
            to_string(coded[a].shape()));
      left = left - scale(outputs[i], weights[a][i]);
    }
    rest.push_back(left);
  }
  ModelDecoding decoding;
  for (std::size_t j = 0; j < s; ++j) {
    Tensor answer = scale(rest[0], inverse[j][0]);
    for (std::size_t a = 1; a < m; ++a) answer = answer + scale(rest[a], inverse[j][a]);
    decoding.decoded.push_back(answer);
  }
  decoding.amplification = norm2(inverse);
  return decoding;
}

}  // namespace understudy
