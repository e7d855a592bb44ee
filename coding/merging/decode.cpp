#include "coding/merging/decode.h"

#include <fmt/ranges.h>

#include <numeric>

#include "coding/matrix/dense.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Where the columns of the late models depend on one another, rounding leaves this much of the
// largest singular value.
constexpr double dependent = 1e-10;

// B_S: the columns of the late models.
Matrix columns_of(const std::vector<std::vector<double>>& weights, const std::vector<int>& late) {
  Matrix b(static_cast<int>(weights.size()), static_cast<int>(late.size()));
  for (std::size_t a = 0; a < weights.size(); ++a)
    for (std::size_t j = 0; j < late.size(); ++j)
      b(static_cast<int>(a), static_cast<int>(j)) = weights[a][static_cast<std::size_t>(late[j])];
  return b;
}

bool independent(const std::vector<double>& singular) {
  return singular.back() > dependent * singular.front();
}

// The next set of as many out of n, in the order of a dictionary; false after the last.
bool next_set(std::vector<int>& set, int n) {
  const int size = static_cast<int>(set.size());
  for (int i = size - 1; i >= 0; --i) {
    const int next = set[static_cast<std::size_t>(i)] + 1;
    if (next > n - size + i) continue;
    std::iota(set.begin() + i, set.end(), next);
    return true;
  }
  return false;
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
  for (const std::vector<double>& row : weights)
    check(row.size() == n, "[decode_models] {} weights for {} models", row.size(), n);
  const Matrix b = columns_of(weights, late);
  const std::vector<double> singular = singular_values(b).values;
  check(independent(singular), "[decode_models] the weights cannot tell the {} late models apart",
        s);
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

void check_decodable(const std::vector<std::vector<double>>& weights) {
  std::vector<int> late(weights.size());
  std::iota(late.begin(), late.end(), 0);
  do {
    if (independent(singular_values(columns_of(weights, late)).values)) continue;
    std::vector<int> numbers;  // for people
    for (const int model : late) numbers.push_back(model + 1);
    const bool one = late.size() == 1;
    throw UsageError(fmt::format(
        "with model{} {} late, the coded one{} cannot answer: the columns of their weights are 0 "
        "or depend on one another",
        one ? "" : "s", fmt::join(numbers, " and "), one ? "" : "s"));
  } while (next_set(late, static_cast<int>(weights[0].size())));
}

}  // namespace understudy
