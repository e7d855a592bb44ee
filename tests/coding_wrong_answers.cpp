// Workers that answer wrongly: found among answers on a curve of low degree and among those of a
// network, and left out of what is decoded.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "coding/matrix/berrut_code.h"
#include "coding/matrix/interpolation.h"
#include "coding/matrix/wrong_answers.h"
#include "coding/matrix/wrong_answers_evaluation.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "kernels/check.h"
#include "models/mlp.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::random;

namespace {

// Places 0..n−1 in an order that depends on the seed.
std::vector<int> shuffled(int n, std::uint64_t seed) {
  const auto keys = random({n}, seed, DType::f64).to_vector<double>();
  std::vector<int> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](int i) { return keys[static_cast<std::size_t>(i)]; });
  return order;
}

// The `count` wrong workers of trial `seed`, ascending.
std::vector<int> wrong_workers(int n, int count, std::uint64_t seed) {
  std::vector<int> wrong = shuffled(n, seed);
  wrong.resize(static_cast<std::size_t>(count));
  std::ranges::sort(wrong);
  return wrong;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("wrong answers among those on a polynomial of degree k − 1 are found, every one") {
    const int k = 4, classes = 3;
    for (int wrong : {1, 2, 3}) {
      // One more than are needed, and an odd number: a worker is at β = 0.
      for (int n : {answers_to_locate(k, wrong), answers_to_locate(k, wrong) + 2}) {
        const std::vector<double> points = code_points(PointLayout::spread, {k, n - k}).workers;
        REQUIRE(std::abs(points[static_cast<std::size_t>(n / 2)]) <= 1e-15);
        for (std::uint64_t trial = 0; trial < 40; ++trial) {
          const auto coefficients = random({classes, k}, trial, DType::f64).to_vector<double>();
          const auto lies = random({n, classes}, 100 + trial, DType::f64).to_vector<double>();
          Matrix answers(n, classes);
          for (int i = 0; i < n; ++i)
            for (int c = 0; c < classes; ++c)
              for (int j = 0; j < k; ++j)
                answers(i, c) += coefficients[c * k + j] * std::pow(points[i], j);
          std::vector<int> liars = wrong_workers(n, wrong, 200 + trial);
          // The middle one in some trials.
          if (trial % 4 == 0 && !std::ranges::count(liars, n / 2)) liars[0] = n / 2;
          std::ranges::sort(liars);
          for (int i : liars)
            for (int c = 0; c < classes; ++c) answers(i, c) += lies[i * classes + c];
          CAPTURE(n);
          CAPTURE(trial);
          CHECK(locate_wrong(points, answers, k, wrong) == liars);
        }
      }
    }
    CHECK(locate_wrong(std::vector{1.0, 0.0, -1.0}, Matrix(3, 2), 2, 0).empty());
    CHECK_THROWS_WITH_AS(
        locate_wrong(std::vector{1.0, 0.0, -1.0}, Matrix(3, 2), 2, 1),
        doctest::Contains("1 wrong answers for k = 2 takes at least 5 answers; got 3"), Error);
  }

  TEST_CASE("wrong answers of a network's workers are found and left out") {
    NoGradGuard no_grad;
    const int k = 4, wrong = 2;
    const CodeShape shape{k, 8};  // 12 workers; 11 answers are needed, so one may be missing
    BerrutCode code(PointLayout::spread, shape, wrong);
    BerrutCode trusting(PointLayout::spread, shape);
    CHECK(code.most_losses() == 1);
    CHECK(trusting.most_losses() == 8);
    Generator generator(5);
    Mlp base({16, 32, 10}, generator);
    const std::int64_t G = 50, N = shape.units();
    const Tensor groups = random({G, k, 4, 4, 1}, 6);
    const Tensor right = ask_workers(code, base, groups);
    const double size = std::sqrt(mean(square(right)).item());

    Tensor outputs = clone(right);
    const Tensor lies = scale(random(right.shape(), 7), 20 * size);
    std::vector<std::vector<int>> liars;
    std::vector<ErasurePattern> missing, gone;  // what is told; what is to be left out
    for (std::int64_t g = 0; g < G; ++g) {
      liars.push_back(wrong_workers(static_cast<int>(N), wrong, 300 + static_cast<unsigned>(g)));
      const int late = static_cast<int>(g % N);
      const bool also_late = g % 2 == 0 && !std::ranges::count(liars.back(), late);
      missing.push_back(also_late ? ErasurePattern{late} : ErasurePattern{});
      gone.push_back(missing.back());
      for (int i : liars.back()) {
        gone.back().lose(i);
        const auto row = [&](const Tensor& x) { return slice(slice(x, 0, g, g + 1), 1, i, i + 1); };
        row(outputs).copy_(row(lies));
      }
    }
    const Erasures erasures(shape, missing, code.most_losses());
    int found = 0;
    const auto suspects = code.suspects(outputs, erasures);
    for (std::size_t g = 0; g < suspects.size(); ++g) {
      CHECK(suspects[g].size() == wrong);
      found += suspects[g] == liars[g];
    }
    CHECK(found >= 48);  // of 50

    // What is decoded is what comes of the others alone, to the bit where all were found.
    const Tensor decoded = code.decode(outputs, erasures);
    const Tensor others = trusting.decode(right, Erasures(shape, gone, trusting.most_losses()));
    const auto a = decoded.to_vector<float>(), b = others.to_vector<float>();
    const std::size_t row = a.size() / static_cast<std::size_t>(G);
    for (std::size_t g = 0; g < suspects.size(); ++g) {
      if (suspects[g] != liars[g]) continue;
      double worst = 0;
      for (std::size_t i = g * row; i < (g + 1) * row; ++i)
        worst = std::max(worst, std::abs(double{a[i]} - double{b[i]}));
      CHECK(worst <= 1e-5 * size);
    }
    const auto error = [&](const Tensor& have) {
      const Tensor y = reshape(base(reshape(groups, {G * k, 4, 4, 1})), {G, k, 10});
      return mean(square(have - y)).item();
    };
    CHECK(error(decoded) < 0.05 * error(trusting.decode(outputs, Erasures(shape, missing, 1))));
  }

  TEST_CASE("gradients flow past wrong answers") {
    const CodeShape shape{2, 4};
    BerrutCode code(PointLayout::spread, shape, 1);
    CHECK(code.most_losses() == 1);
    Tensor outputs = random({1, 6, 4}, 8, DType::f64);
    const Erasures nothing(shape, {{}}, 0);
    const std::vector<int> suspect = code.suspects(outputs, nothing)[0];
    REQUIRE(suspect.size() == 1);
    outputs.set_requires_grad(true);
    sum(code.decode(outputs, nothing)).backward();
    const auto gradient = outputs.grad().to_vector<double>();
    for (int i = 0; i < 6; ++i) {
      double want = 0;
      for (int j = 0; j < 2; ++j) want += (*code.decoding({suspect[0]}))(j, i);
      for (int c = 0; c < 4; ++c) CHECK(std::abs(gradient[i * 4 + c] - want) <= 1e-13);
      CHECK((want == 0) == (i == suspect[0]));
    }
  }

  TEST_CASE("codes with too few workers to find wrong answers are refused") {
    CHECK_THROWS_WITH_AS(BerrutCode(PointLayout::spread, {4, 4}, 1),
                         doctest::Contains("berrut needs 9 answers"), UsageError);
    CHECK_THROWS_WITH_AS(BerrutCode(PointLayout::spread, {4, 4}, 1), doctest::Contains("8 workers"),
                         UsageError);
    CHECK(BerrutCode(PointLayout::spread, {4, 7}, 1).most_losses() == 2);
    CHECK_THROWS_AS(BerrutCode(PointLayout::systematic, {4, 7}, 1), UsageError);
    CHECK_THROWS_AS(BerrutCode(PointLayout::spread, {4, 7}, -1), UsageError);
    const CodeShape shape{2, 3};
    const BerrutCode code(PointLayout::spread, shape, 1);
    Tensor outputs = random({1, 5, 4}, 9);
    slice(outputs, 1, 1, 2).fill_(std::numeric_limits<double>::infinity());
    CHECK_THROWS_WITH_AS(code.suspects(outputs, Erasures(shape, {{}}, 0)),
                         doctest::Contains("and_failed_rows"), Error);
  }

  TEST_CASE("looking for liars keeps the accuracy that they take away") {
    // A linear model, whose answers are on a curve of low degree in the workers' points.
    Generator generator(3, Stream::test);
    Mlp base({6, 4}, generator);
    Dataset data;
    data.name = "drawn";
    data.classes = 4;
    const auto noise = random({60, 6}, 7, DType::f64).to_vector<double>();
    std::vector<std::uint8_t> pixels;
    for (const double value : noise)
      pixels.push_back(static_cast<std::uint8_t>(127.5 + 127 * value));
    data.images = Tensor::from(pixels, {60, 1, 2, 3});
    data.normalization = {{0, 0, 0}, {1, 1, 1}};
    const Tensor outputs = base(reshape(images_at(data, Tensor::arange(60, DType::i64)), {60, 6}));
    data.labels = argmax(outputs);
    BerrutCode code(PointLayout::spread, {.k = 2, .r = 3}, 1);
    const WrongAnswersScore score =
        evaluate_wrong_answers(code, base, data, outputs.detach(), 1000, 5);
    CHECK(score.groups == 30);
    CHECK(score.honest == 1);  // k = 2 is exact for a linear model
    CHECK(score.found >= 0.9);
    CHECK(score.located >= 0.9);
    // With 5 workers for k = 2 an answer is read from one of them: only 2 of 5 liars do harm.
    CHECK(score.not_located <= 0.95);
    BerrutCode trusting(PointLayout::spread, {.k = 2, .r = 3});
    CHECK_THROWS_AS(evaluate_wrong_answers(trusting, base, data, outputs.detach(), 30, 5), Error);
  }
}
