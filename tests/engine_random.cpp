// The generator: known answers, positions, unbiasedness, and fills whose numbers do not depend on
// how they are cut up.
#include "engine/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/check.h"

using namespace understudy;

TEST_SUITE("engine") {
  TEST_CASE("philox gives the words of Random123's known answers") {
    // kat_vectors of the Random123 distribution.
    const PhiloxBlock zero = philox({0, 0}, 0);
    CHECK(zero.word[0] == 0x6627e8d5u);
    CHECK(zero.word[1] == 0xe169c58du);
    CHECK(zero.word[2] == 0xbc57ac4cu);
    CHECK(zero.word[3] == 0x9b00dbd8u);
    const PhiloxBlock ones = philox({~0ull, ~0ull}, ~0ull);
    CHECK(ones.word[0] == 0x408f276du);
    CHECK(ones.word[1] == 0x41c83b0eu);
    CHECK(ones.word[2] == 0xa20bc7c6u);
    CHECK(ones.word[3] == 0x6d5451fdu);
    const PhiloxBlock pi =  // the digits of pi
        philox({0x299f31d0a4093822ull, 0x0370734413198a2eull}, 0x85a308d3243f6a88ull);
    CHECK(pi.word[0] == 0xd16cfe09u);
    CHECK(pi.word[1] == 0x94fdccebu);
    CHECK(pi.word[2] == 0x5001e420u);
    CHECK(pi.word[3] == 0x24126ea1u);
  }

  TEST_CASE("a generator is its seed, its stream and its position") {
    Generator a(7, Stream::test), b(7, Stream::test), other_seed(8, Stream::test),
        other_stream(7, Stream::shuffling);
    std::vector<double> first;
    for (int i = 0; i < 20; ++i) first.push_back(a.uniform());
    std::vector<double> seeds, streams;
    for (int i = 0; i < 20; ++i) {
      CHECK(b.uniform() == first[i]);
      seeds.push_back(other_seed.uniform());
      streams.push_back(other_stream.uniform());
    }
    CHECK(seeds != first);
    CHECK(streams != first);
    CHECK(seeds != streams);

    Generator resumed(7, Stream::test);
    resumed.set_position(b.position());
    CHECK(resumed.below(1000) == b.below(1000));
    CHECK(resumed.permutation(50) == b.permutation(50));
    CHECK(resumed.position() == b.position());
  }

  TEST_CASE("take hands out blocks once") {
    Generator g(1, Stream::test);
    CHECK(g.take(3) == 0);
    CHECK(g.take(0) == 3);
    CHECK(g.take(5) == 3);
    CHECK(g.position() == 8);
  }

  TEST_CASE("below stays below and reaches everything evenly") {
    Generator g(3, Stream::test);
    CHECK(g.below(1) == 0);
    CHECK_THROWS_AS(g.below(0), Error);
    std::vector<int> counts(7);
    const int draws = 70000;
    for (int i = 0; i < draws; ++i) {
      const std::uint64_t value = g.below(7);
      REQUIRE(value < 7);
      ++counts[value];
    }
    // Six standard deviations of a binomial count with mean 10,000 are about 556.
    for (const int count : counts) CHECK(std::abs(count - 10000) <= 560);
    // Just above half of the range, where a plain remainder would be biased two to one.
    const std::uint64_t large = (1ull << 63) + 1;
    int low = 0;
    for (int i = 0; i < 4000; ++i) {
      const std::uint64_t value = g.below(large);
      REQUIRE(value < large);
      low += value < large / 2;
    }
    CHECK(std::abs(low - 2000) <= 190);
  }

  TEST_CASE("a permutation has everything once, and every order is as likely") {
    Generator g(4, Stream::test);
    CHECK(g.permutation(0).empty());
    CHECK(g.permutation(1) == std::vector<std::int64_t>{0});
    CHECK_THROWS_AS(g.permutation(-1), Error);
    std::vector<std::int64_t> order = g.permutation(1000);
    CHECK(!std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < 1000; ++i) REQUIRE(order[i] == i);
    std::vector<int> counts(6);
    for (int i = 0; i < 12000; ++i) {
      const auto p = g.permutation(3);
      ++counts[p[0] * 2 + (p[1] > p[2])];
    }
    for (const int count : counts) CHECK(std::abs(count - 2000) <= 250);
  }

  TEST_CASE_TEMPLATE("fills have the moments and bounds that were asked for", T, float, double) {
    Generator g(5, Stream::test);
    const std::int64_t n = 40001;
    Tensor x = Tensor::empty({n}, dtype_of<T>);
    const auto moments = [&] {
      double mean = 0, square = 0;
      for (const T v : x.template data<T>()) {
        mean += v;
        square += double(v) * v;
      }
      mean /= n;
      return std::pair(mean, std::sqrt(square / n - mean * mean));
    };
    fill_uniform(x, g, -2, 3);
    for (const T v : x.template data<T>()) REQUIRE((v >= -2 && v <= 3));
    auto [mean, std] = moments();
    CHECK(std::abs(mean - 0.5) <= 0.04);
    CHECK(std::abs(std - 5 / std::sqrt(12.0)) <= 0.03);
    fill_normal(x, g, 1, 0.5);
    std::tie(mean, std) = moments();
    CHECK(std::abs(mean - 1) <= 0.015);
    CHECK(std::abs(std - 0.5) <= 0.011);
    // A normal distribution has 68.27 % within one standard deviation and 4.55 % beyond two.
    int within = 0, beyond = 0;
    for (const T v : x.template data<T>()) {
      within += std::abs(v - 1) <= 0.5;
      beyond += std::abs(v - 1) > 1;
    }
    CHECK(std::abs(within / double(n) - 0.6827) <= 0.015);
    CHECK(std::abs(beyond / double(n) - 0.0455) <= 0.007);
    fill_uniform(x, g, 4, 4);
    CHECK(x.template data<T>()[0] == T(4));
  }

  TEST_CASE_TEMPLATE("a fill depends on seed and position alone", T, float, double) {
    const int per_block = std::is_same_v<T, float> ? 4 : 2;
    for (const bool normal : {false, true}) {
      const auto fill = [&](Tensor& x, Generator& g) {
        normal ? fill_normal(x, g, 0, 1) : fill_uniform(x, g, 0, 1);
      };
      Generator whole(6, Stream::test), parts(6, Stream::test);
      Tensor x = Tensor::empty({1003}, dtype_of<T>);
      fill(x, whole);
      CHECK(whole.position() == std::uint64_t(1003 + per_block - 1) / per_block);
      // Three fills of whole blocks in a row are the one fill cut up.
      std::vector<T> joined;
      for (const std::int64_t n : {400, 8, 595}) {
        Tensor part = Tensor::empty({n}, dtype_of<T>);
        fill(part, parts);
        const auto values = part.template to_vector<T>();
        joined.insert(joined.end(), values.begin(), values.end());
      }
      CHECK(joined == x.template to_vector<T>());
      CHECK(std::set<T>(joined.begin(), joined.end()).size() > 990);
      // The numbers after a fill are not the numbers of the fill.
      Tensor next = Tensor::empty({1003}, dtype_of<T>);
      fill(next, whole);
      CHECK(next.template to_vector<T>() != x.template to_vector<T>());
    }
  }

  TEST_CASE("impossible fills are errors") {
    Generator g(1, Stream::test);
    Tensor integers = Tensor::empty({4}, DType::i64);
    CHECK_THROWS_WITH_AS(fill_uniform(integers, g, 0, 1),
                         "[fill_uniform] float32 or float64 expected, found int64", Error);
    Tensor x = Tensor::empty({4});
    CHECK_THROWS_AS(fill_uniform(x, g, 1, 0), Error);
    CHECK_THROWS_AS(fill_normal(x, g, 0, -1), Error);
    Tensor nothing = Tensor::empty({0});
    fill_normal(nothing, g, 0, 1);
    CHECK(g.position() == 0);
  }
}
