#include "coding/merging/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/check.h"

namespace understudy {
namespace {

constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
constexpr double infinity = std::numeric_limits<double>::infinity();

// Costs to minimise: the scores negated and, so that no sum of them overflows, divided by the power
// of two that brings the largest below 1. That is exact.
std::vector<double> costs_of(std::span<const double> scores) {
  double largest = 0;
  for (const double score : scores) largest = std::max(largest, std::abs(score));
  const int exponent = largest > 0 ? std::ilogb(largest) + 1 : 0;
  std::vector<double> costs(scores.size());
  std::transform(scores.begin(), scores.end(), costs.begin(),
                 [&](double score) { return -std::ldexp(score, -exponent); });
  return costs;
}

// Assigns one row after the other. The potentials u of rows and v of columns keep
// cost[i, j] - u[i] - v[j] at 0 for assigned pairs and from 0 on for all others.
class Matching {
 public:
  Matching(std::vector<double> costs, std::size_t n)
      : n_(n), costs_(std::move(costs)), u_(n, 0), v_(n, 0), column_of_(n, none), row_of_(n, none) {
    for (std::size_t row = 0; row < n; ++row) augment(row);
  }
  const std::vector<std::size_t>& columns() const { return column_of_; }
  double cost(const std::vector<std::size_t>& columns) const {
    double total = 0;
    for (std::size_t row = 0; row < n_; ++row) total += costs_[row * n_ + columns[row]];
    return total;
  }

 private:
  // Dijkstra's shortest path from `free`, a row without a column, over reduced costs to a column
  // without a row; every row on it then takes the column after it.
  void augment(std::size_t free) {
    std::vector<double> shortest(n_, infinity);
    std::vector<std::size_t> row_before(n_, none), reached_rows, reached_columns, remaining(n_);
    std::iota(remaining.begin(), remaining.end(), std::size_t{0});
    double length = 0;
    std::size_t sink = none;
    for (std::size_t row = free; sink == none;) {
      reached_rows.push_back(row);
      const double* costs = &costs_[row * n_];
      double best = infinity;
      std::size_t nearest = 0;
      for (std::size_t r = 0; r < remaining.size(); ++r) {
        const std::size_t column = remaining[r];
        const double through = length + costs[column] - u_[row] - v_[column];
        if (through < shortest[column]) {
          shortest[column] = through;
          row_before[column] = row;
        }
        // Among equals a free column, which ends the search.
        if (shortest[column] < best || (shortest[column] == best && row_of_[column] == none)) {
          best = shortest[column];
          nearest = r;
        }
      }
      length = best;
      const std::size_t column = remaining[nearest];
      remaining[nearest] = remaining.back();
      remaining.pop_back();
      reached_columns.push_back(column);
      if (row_of_[column] == none)
        sink = column;
      else
        row = row_of_[column];
    }
    for (const std::size_t row : reached_rows)
      u_[row] += row == free ? length : length - shortest[column_of_[row]];
    for (const std::size_t column : reached_columns) v_[column] -= length - shortest[column];
    for (std::size_t column = sink, row = none; row != free;) {
      row = row_before[column];
      row_of_[column] = row;
      std::swap(column_of_[row], column);
    }
  }

  std::size_t n_;
  std::vector<double> costs_, u_, v_;
  std::vector<std::size_t> column_of_, row_of_;
};

}  // namespace

std::vector<std::int64_t> best_assignment(std::span<const double> scores, std::int64_t n) {
  check(n >= 0 && scores.size() == static_cast<std::size_t>(n * n),
        "[assignment] {} scores for {} rows; expected a square", scores.size(), n);
  for (std::size_t at = 0; at < scores.size(); ++at)
    check(std::isfinite(scores[at]), "[assignment] the score at ({},{}) is {}; expected a number",
          at / static_cast<std::size_t>(n), at % static_cast<std::size_t>(n), scores[at]);
  const Matching matching(costs_of(scores), static_cast<std::size_t>(n));
  std::vector<std::size_t> columns(static_cast<std::size_t>(n));
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  if (matching.cost(matching.columns()) < matching.cost(columns)) columns = matching.columns();
  return {columns.begin(), columns.end()};
}

}  // namespace understudy
