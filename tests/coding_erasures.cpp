// Which answers are missing: patterns, their enumeration, masks and the refusals.
#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <string>

#include "coding/erasures.h"
#include "kernels/check.h"

using namespace understudy;

namespace {

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("an erasure pattern knows its units") {
    ErasurePattern pattern{1, 3};
    CHECK(pattern.losses() == 2);
    CHECK(!pattern.lost(0));
    CHECK(pattern.lost(1));
    CHECK(pattern.lost_data(3) == std::vector<int>{1});
    CHECK(pattern.lost_data(4) == std::vector<int>{1, 3});
    CHECK(to_string(pattern, {.k = 2, .r = 2}) == "{x1, p1}");
    pattern.lose(63);
    CHECK(pattern.lost(63));
    CHECK(pattern.losses() == 3);
    CHECK(ErasurePattern() == ErasurePattern{});
    CHECK_THROWS_AS(pattern.lose(64), Error);
    CHECK_THROWS_AS(pattern.lose(-1), Error);
  }

  TEST_CASE("all patterns are the subsets, once each") {
    const auto count = [](CodeShape shape, int losses, bool data_only) {
      const auto patterns = all_patterns(shape, losses, data_only);
      std::set<std::uint64_t> seen;
      int before = 0;
      for (const ErasurePattern& pattern : patterns) {
        CHECK(seen.insert(pattern.bits()).second);
        CHECK(pattern.losses() >= before);
        CHECK(pattern.losses() <= losses);
        before = pattern.losses();
        if (data_only) CHECK(!pattern.lost_data(shape.k).empty());
      }
      return patterns.size();
    };
    CHECK(count({2, 1}, 1, false) == 3);
    CHECK(count({4, 2}, 2, false) == 6 + 15);
    CHECK(count({4, 2}, 2, true) == 4 + (15 - 1));  // {p0, p1} alone loses no data
    CHECK(count({5, 3}, 3, false) == 8 + 28 + 56);
    CHECK(count({5, 3}, 0, false) == 0);
    CHECK_THROWS_AS(all_patterns({2, 1}, 4), Error);
    CHECK_THROWS_AS(all_patterns({40, 20}, 10), Error);  // too many to list

    const auto single = one_data_loss({3, 1});
    REQUIRE(single.size() == 3);
    for (int unit = 0; unit < 3; ++unit) CHECK(single[unit] == ErasurePattern{unit});
  }

  TEST_CASE("impossible codes and losses are refused with their numbers") {
    CHECK_THROWS_AS(validate({.k = 0, .r = 1}), UsageError);
    CHECK_THROWS_AS(validate({.k = 2, .r = -1}), UsageError);
    CHECK_THROWS_AS(validate({.k = 60, .r = 5}), UsageError);
    validate({.k = 60, .r = 4});
    const CodeShape shape{.k = 4, .r = 2};
    check_recoverable({0, 5}, shape, 2);
    const std::string many = message_of([&] { check_recoverable({0, 1, 5}, shape, 2); });
    CHECK(many.find("3 answers") != std::string::npos);
    CHECK(many.find("2 at most") != std::string::npos);
    CHECK(many.find("{x0, x1, p1}") != std::string::npos);
    const std::string outside = message_of([&] { check_recoverable({6}, shape, 2); });
    CHECK(outside.find("unit 6") != std::string::npos);
    CHECK(outside.find("6 units") != std::string::npos);
    CHECK_THROWS_AS(Erasures(shape, {{0}, {0, 1, 2}}, 2), Error);
  }

  TEST_CASE("erasures of a batch: mask and lost rows") {
    const CodeShape shape{.k = 3, .r = 1};
    const Erasures erasures(shape, {{1}, {}, {3}, {0, 2}}, 2);
    CHECK(erasures.groups() == 4);
    CHECK(erasures.mask().shape() == Shape{4, 4, 1});
    CHECK(erasures.mask().to_vector<float>() ==
          std::vector<float>{1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1});
    CHECK(erasures.mask(DType::f64).to_vector<double>()[1] == 0);
    CHECK(erasures.lost_rows().to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 9, 11});

    const Tensor mask =
        Tensor::from(std::vector<float>{1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1}, {4, 4});
    CHECK(Erasures::from_mask(shape, mask, 2).patterns() == erasures.patterns());
    CHECK_THROWS_AS(Erasures::from_mask(shape, mask, 1), Error);
    CHECK_THROWS_AS(Erasures::from_mask(shape, Tensor::ones({4, 3}), 1), Error);

    const Erasures none(shape, {{}, {3}}, 1);
    CHECK(none.lost_count() == 0);
  }

  TEST_CASE("scenarios repeat every pattern for every group") {
    const CodeShape shape{.k = 2, .r = 1};
    const Erasures all = Erasures::scenarios(shape, one_data_loss(shape), 3, 1);
    REQUIRE(all.groups() == 6);
    for (int s = 0; s < 6; ++s) CHECK(all.patterns()[s] == ErasurePattern{s % 2});
    CHECK(all.lost_rows().to_vector<std::int64_t>() ==
          std::vector<std::int64_t>{0, 3, 4, 7, 8, 11});
  }

  TEST_CASE("an answer with NaN or infinity is a missing answer") {
    const CodeShape shape{.k = 2, .r = 1};
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float inf = std::numeric_limits<float>::infinity();
    const Tensor outputs =
        Tensor::from(std::vector<float>{1, 2, nan, 4, 5, 6, 1, 2, 3, 4, 5, -inf}, {2, 3, 2});
    const Erasures answered = Erasures(shape, {{}, {}}, 1).and_failed_rows(outputs);
    CHECK(answered.patterns()[0] == ErasurePattern{1});
    CHECK(answered.patterns()[1] == ErasurePattern{2});
    CHECK_THROWS_AS(Erasures(shape, {{0}, {}}, 1).and_failed_rows(outputs), Error);  // two missing
  }
}
