// The linear assignment against every permutation, and where scores are equal, huge or no numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "coding/merging/assignment.h"
#include "engine/random.h"
#include "kernels/check.h"
#include "tests/coding_tensors.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;
using understudy::testing::random;

namespace {

double total(const std::vector<double>& scores, const std::vector<std::int64_t>& columns) {
  double sum = 0;
  for (std::size_t i = 0; i < columns.size(); ++i)
    sum += scores[i * columns.size() + static_cast<std::size_t>(columns[i])];
  return sum;
}

std::vector<std::int64_t> identity(std::int64_t n) {
  std::vector<std::int64_t> columns(static_cast<std::size_t>(n));
  std::iota(columns.begin(), columns.end(), std::int64_t{0});
  return columns;
}

// The best of all n! permutations.
double best_total(const std::vector<double>& scores, std::int64_t n) {
  std::vector<std::int64_t> columns = identity(n);
  double best = total(scores, columns);
  while (std::next_permutation(columns.begin(), columns.end()))
    best = std::max(best, total(scores, columns));
  return best;
}

bool is_permutation_of(std::vector<std::int64_t> columns, std::int64_t n) {
  std::sort(columns.begin(), columns.end());
  return columns == identity(n);
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("an assignment is the best of all permutations") {
    for (std::int64_t n = 1; n <= 7; ++n)
      for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        CAPTURE(n);
        CAPTURE(seed);
        const Tensor drawn = random({n, n}, 100 * seed + static_cast<std::uint64_t>(n), DType::f64);
        auto scores = drawn.to_vector<double>();
        if (seed % 4 == 1)  // few values, many equals
          for (double& score : scores) score = std::round(2 * score);
        if (seed % 4 == 2)  // negative all
          for (double& score : scores) score -= 5;
        if (seed % 4 == 3)  // of very different size
          for (double& score : scores) score = std::copysign(std::exp(20 * std::abs(score)), score);
        const auto columns = best_assignment(scores, n);
        REQUIRE(is_permutation_of(columns, n));
        const double best = best_total(scores, n);
        CHECK(std::abs(total(scores, columns) - best) <= 1e-12 * std::max(1.0, std::abs(best)));
        CHECK(total(scores, columns) >= total(scores, identity(n)));
      }
  }

  TEST_CASE("an assignment among equals keeps the order that is there") {
    for (const double value : {0.0, 3.5, -2.0, 1e300, -1e300}) {
      CAPTURE(value);
      CHECK(best_assignment(std::vector<double>(36, value), 6) == identity(6));
    }
    std::vector<double> equal_rows;
    for (int row = 0; row < 5; ++row)
      for (const double score : {4.0, -1.0, 2.5, 2.5, 0.0}) equal_rows.push_back(score);
    CHECK(best_assignment(equal_rows, 5) == identity(5));
    CHECK(best_assignment({}, 0).empty());
  }

  TEST_CASE("an assignment of huge and of tiny scores") {
    // Sums of these are infinite; the best is the reverse.
    std::vector<double> scores(25, -1.7e308);
    for (std::size_t i = 0; i < 5; ++i) scores[i * 5 + 4 - i] = 1.7e308;
    CHECK(best_assignment(scores, 5) == std::vector<std::int64_t>{4, 3, 2, 1, 0});
    for (double& score : scores) score = score > 0 ? 1e-300 : 0;
    CHECK(best_assignment(scores, 5) == std::vector<std::int64_t>{4, 3, 2, 1, 0});
  }

  TEST_CASE("an assignment of hundreds of rows is found again, and never below the identity") {
    const std::int64_t n = 300;
    Generator generator(5);
    const auto hidden = generator.permutation(n);
    auto scores = random({n, n}, 6, DType::f64).to_vector<double>();
    const auto drawn = best_assignment(scores, n);
    REQUIRE(is_permutation_of(drawn, n));
    CHECK(total(scores, drawn) >= total(scores, identity(n)));
    // No two rows gain by an exchange, which the best of all cannot leave.
    double most = 0;
    for (std::size_t i = 0; i < 300; ++i)
      for (std::size_t j = 0; j < i; ++j) {
        const auto a = static_cast<std::size_t>(drawn[i]), b = static_cast<std::size_t>(drawn[j]);
        most = std::max(most, scores[i * 300 + b] + scores[j * 300 + a] - scores[i * 300 + a] -
                                  scores[j * 300 + b]);
      }
    CHECK(most <= 1e-12);
    for (std::size_t i = 0; i < hidden.size(); ++i)
      scores[i * 300 + static_cast<std::size_t>(hidden[i])] += 2;
    CHECK(best_assignment(scores, n) == hidden);
  }

  TEST_CASE("an assignment refuses what is no square of numbers") {
    std::vector<double> scores(9, 1);
    CHECK(error_text([&] { best_assignment(scores, 4); }).find("9 scores for 4 rows") !=
          std::string::npos);
    scores[5] = std::numeric_limits<double>::quiet_NaN();
    CHECK(error_text([&] { best_assignment(scores, 3); }).find("(1,2) is nan") !=
          std::string::npos);
    scores[5] = std::numeric_limits<double>::infinity();
    CHECK_THROWS_AS(best_assignment(scores, 3), Error);
  }
}
