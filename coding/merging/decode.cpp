#include "coding/merging/decode.h"

#include "coding/matrix/dense.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Where the columns of the late models depend on one another, rounding leaves this much of the
// largest singular value.
constexpr double dependent = 1e-10;

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
  Matrix b(static_cast<int>(m), static_cast<int>(s));
  for (std::size_t a = 0; a < m; ++a) {
    check(weights[a].size() == n, "[decode_models] {} weights for {} models", weights[a].size(), n);
    for (std::size_t j = 0; j < s; ++j)
      b(static_cast<int>(a), static_cast<int>(j)) = weights[a][static_cast<std::size_t>(late[j])];
  }
  const std::vector<double> singular = singular_values(b).values;
  check(singular.back() > dependent * singular.front(),
        "[decode_models] the weights cannot tell the {} late models apart", s);
  const Matrix inverse = pseudo_inverse(b);

  std::vector<Tensor> rest;  // f_c − B_S̄ f_S̄
  for (std::size_t a = 0; a < m; ++a) {
    Tensor left = coded[a];
    for (std::size_t i = 0; i < n; ++i) {
      if (missing[i] || weights[a][i] == 0) continue;
      check(outputs[i].defined() && outputs[i].shape() == coded[a].shape(),
            "[decode_models] the answer of model {} is missing or not {}", i,
            to_string(coded[a].shape()));
      left = left - scale(outputs[i], weights[a][i]);
    }
    rest.push_back(left);
  }
  ModelDecoding decoding;
  for (std::size_t j = 0; j < s; ++j) {
    const auto row = inverse.row(static_cast<int>(j));
    Tensor answer = scale(rest[0], row[0]);
    for (std::size_t a = 1; a < m; ++a) answer = answer + scale(rest[a], row[a]);
    decoding.decoded.push_back(answer);
  }
  decoding.amplification = 1 / singular.back();
  decoding.condition = singular.front() / singular.back();
  return decoding;
}

}  // namespace understudy
