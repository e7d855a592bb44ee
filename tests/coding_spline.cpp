// Smoothing splines: what makes them that, published weights, and how their λ are chosen.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "coding/evaluation.h"
#include "coding/matrix/smoothing_spline.h"
#include "coding/matrix/spline_code.h"
#include "coding/query_codes.h"
#include "coding/simulate.h"
#include "engine/nn/linear.h"
#include "kernels/check.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::random;

namespace {

std::vector<double> times(const Matrix& weights, const std::vector<double>& y) {
  std::vector<double> values(static_cast<std::size_t>(weights.rows()), 0.0);
  for (int i = 0; i < weights.rows(); ++i)
    for (int j = 0; j < weights.columns(); ++j) values[i] += weights(i, j) * y[j];
  return values;
}

const std::vector<double> nodes = {0.9, -0.7, 0.1, -0.2, 0.45};
const std::vector<double> values = {1.0, -2.0, 0.5, 3.0, -1.0};

// (1/m) Σ (y − u(t))² + λ ∫u″² of the piecewise linear u″ that the weights' curve has, from samples
// of the curve: between knots u″ is linear, so Simpson's rule on its square is exact.
double objective(const auto& curve, double lambda) {
  double misfit = 0;
  const std::vector<double> fitted = curve(nodes);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    misfit += (values[i] - fitted[i]) * (values[i] - fitted[i]) / nodes.size();
  std::vector<double> t = nodes;
  std::ranges::sort(t);
  double bend = 0;
  for (std::size_t i = 0; i + 1 < t.size(); ++i) {
    const double h = t[i + 1] - t[i], e = 1e-3 * h;
    // Exact for cubics, away from the knots on both sides.
    const auto second = [&](double z) {
      const auto u = curve({z - e, z, z + e});
      return (u[0] - 2 * u[1] + u[2]) / (e * e);
    };
    const double left = second(t[i] + 0.25 * h), right = second(t[i] + 0.75 * h);
    const double a = 1.5 * left - 0.5 * right, b = 1.5 * right - 0.5 * left;  // at the knots
    bend += h * (a * a + a * b + b * b) / 3;
  }
  return misfit + lambda * bend;
}

// No linear code decodes it exactly. Counts how often it is asked.
struct Quadratic : Module {
  explicit Quadratic(std::uint64_t seed) : weight(random({6, 4}, seed)) {}
  Tensor forward(const Tensor& x) override {
    ++asked;
    return square(matmul(reshape(x, {x.size(0), 6}), weight));
  }
  void members(Members&) override {}
  Tensor weight;
  int asked = 0;
};

Dataset noise(std::int64_t images) {
  Dataset data;
  data.name = "noise";
  data.classes = 4;
  data.images = cast(scale(random({images, 2, 3, 1}, 21) + 1.0, 127), DType::u8);
  data.labels = Tensor::zeros({images}, DType::i64);
  data.normalization = {{0}, {1}};
  return data;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("spline weights are the published ones") {
    const SplineCode code(PointLayout::spread, {4, 1});
    const double row0[] = {1.1725, -0.2016, 0.0385, -0.0093};
    const double row1[] = {0.5233, 0.5464, -0.0920, 0.0223};
    const double row2[] = {-0.1201, 0.6201, 0.6201, -0.1201};
    for (int j = 0; j < 4; ++j) {
      CHECK(std::abs(code.encoding()(0, j) - row0[j]) <= 1e-4);
      CHECK(std::abs(code.encoding()(1, j) - row1[j]) <= 1e-4);
      CHECK(std::abs(code.encoding()(2, j) - row2[j]) <= 1e-4);
      CHECK(std::abs(code.encoding()(3, j) - row1[3 - j]) <= 1e-4);
      CHECK(std::abs(code.encoding()(4, j) - row0[3 - j]) <= 1e-4);
    }
    for (const auto& [k, bias] : std::vector<std::pair<int, double>>{
             {2, 0}, {4, 1.11}, {8, 2.17}, {10, 2.31}, {12, 2.31}}) {
      const SplineCode spline(PointLayout::spread, {k, 1});
      double worst = 0;
      for (const ErasurePattern& missing : all_patterns(spline.shape(), 1))
        worst = std::max(worst, pattern_quality(spline, missing).bias);
      INFO("k = ", spline.shape().k);
      CHECK(std::abs(worst - bias) <= 0.006);
    }
  }

  TEST_CASE("a spline has the least sum of misfit and bending") {
    for (double lambda : {1e-4, 1e-2, 1.0}) {
      const auto curve = [&](double change) {
        return [&, change](const std::vector<double>& at) {
          // Another spline through values that are a little off the fitted ones.
          auto fitted = times(spline_weights(nodes, nodes, lambda), values);
          fitted[2] += change;
          return times(spline_weights(nodes, at, 0), fitted);
        };
      };
      const double least = objective(curve(0), lambda);
      for (double change : {-0.05, -0.01, 0.01, 0.05})
        CHECK(objective(curve(change), lambda) > least);
    }
  }

  TEST_CASE("splines interpolate, smooth to a line, and go on straight") {
    const auto through = times(spline_weights(nodes, nodes, 0), values);
    for (std::size_t i = 0; i < nodes.size(); ++i) CHECK(std::abs(through[i] - values[i]) <= 1e-14);

    double t = 0, y = 0, tt = 0, ty = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      t += nodes[i] / 5, y += values[i] / 5;
      tt += nodes[i] * nodes[i] / 5, ty += nodes[i] * values[i] / 5;
    }
    const double slope = (ty - t * y) / (tt - t * t);
    const std::vector<double> at = {-1.5, -0.3, 0.45, 2};
    const auto smooth = times(spline_weights(nodes, at, 1e6), values);
    for (std::size_t i = 0; i < at.size(); ++i)
      CHECK(std::abs(smooth[i] - (y + slope * (at[i] - t))) <= 1e-4);

    // Straight lines are not changed by any λ; beyond both ends every spline is one, in one piece.
    for (double lambda : {0.0, 1e-3, 1.0}) {
      std::vector<double> line = nodes;
      for (double& y : line) y = 2 - 3 * y;
      const auto same = times(spline_weights(nodes, at, lambda), line);
      for (std::size_t i = 0; i < at.size(); ++i)
        CHECK(std::abs(same[i] - (2 - 3 * at[i])) <= 1e-12);
      const double e = 1e-4;
      for (const auto& [end, out] : {std::pair{-0.7, -1.0}, {0.9, 1.0}}) {
        const auto u =
            times(spline_weights(nodes, std::vector{end - e * out, end, end + e * out, end + out},
                                 lambda),
                  values);
        const double inside = (u[1] - u[0]) / e, outside = (u[2] - u[1]) / e;
        CHECK(std::abs(inside - outside) <= 0.01 * (1 + std::abs(outside)));
        CHECK(std::abs(u[3] - u[1] - outside) <= 1e-8 * (1 + std::abs(outside)));
      }
    }
    // Few nodes.
    const auto two = times(spline_weights(std::vector{1.0, 0.0}, at, 0.5), {5, 3});
    for (std::size_t i = 0; i < at.size(); ++i) CHECK(two[i] == doctest::Approx(3 + 2 * at[i]));
    CHECK(times(spline_weights(std::vector{1.0}, at, 0.5), {5}) == std::vector<double>(4, 5.0));
    CHECK_THROWS_AS(spline_weights(std::vector{1.0, 1.0}, at, 0), Error);
    CHECK_THROWS_AS(spline_weights(nodes, at, -1), Error);
    CHECK_THROWS_AS(spline_weights(nodes, at, std::numeric_limits<double>::quiet_NaN()), Error);
  }

  TEST_CASE("λ of a spline code is the best of the grid on the images it may see") {
    const std::int64_t images = 24;
    const Dataset data = noise(images);
    Quadratic base(22);
    const Tensor outputs = all_outputs(base, data);
    std::vector<std::int64_t> index;  // not the first images, and in another order
    for (std::int64_t i = images - 1; i >= 4; --i) index.push_back(i);
    for (const auto layout : {PointLayout::spread, PointLayout::systematic}) {
      SplineCode code(layout, {4, 2});
      base.asked = 0;
      code.tune(base, data, outputs, index);
      CHECK(base.asked == static_cast<int>(smoothing_grid().size()));
      double best = -1, error = 0;
      Smoothing want;
      for (double encode : smoothing_grid())
        for (double decode : smoothing_grid()) {
          SplineCode other(layout, {4, 2}, {encode, decode});
          const CodeScore score =
              evaluate_code(other, base, data, outputs, standard_patterns(other), index);
          const double accuracy = score.recovery_accuracy();
          if (accuracy > best || (accuracy == best && score.squared_error < error)) {
            best = accuracy;
            error = score.squared_error;
            want = other.smoothing();
          }
        }
      CHECK(code.smoothing().encode == want.encode);
      CHECK(code.smoothing().decode == want.decode);
      CHECK(code.smoothing().encode + code.smoothing().decode > 0);  // or this case tells nothing
      CHECK(code.explain().find(fmt::format("λ_d = {:g}", want.decode)) != std::string::npos);
      // Queries and decodings are those of the chosen λ.
      const SplineCode fresh(layout, {4, 2}, want);
      CHECK(code.encoding() == fresh.encoding());
      CHECK(*code.decoding({1, 4}) == *fresh.decoding({1, 4}));
    }
    // The more patterns, the fewer groups.
    CHECK(SplineCode(PointLayout::systematic, {2, 1}).most_tuning_images() == 20000);
    CHECK(SplineCode(PointLayout::systematic, {12, 6}).most_tuning_images() == 240);
    SplineCode code(PointLayout::spread, {4, 2});
    CHECK_THROWS_WITH_AS(code.tune(base, data, outputs, {1, 2}), doctest::Contains("2 images"),
                         Error);
  }

  TEST_CASE("spline codes by name") {
    const auto plain = make_query_code("spline", {.shape = {3, 1}, .image = {2, 3, 1}});
    CHECK(!plain->systematic());
    const auto systematic =
        make_query_code("systematic-spline", {.shape = {3, 1}, .image = {2, 3, 1}});
    CHECK(systematic->systematic());
    // The parity at the fourth of four points lies beyond the data: on a straight line.
    const auto& code = dynamic_cast<MatrixCode&>(*systematic);
    double total = 0;
    for (double weight : code.encoding().row(3)) total += weight;
    CHECK(total == doctest::Approx(1));
    CHECK_THROWS_AS(SplineCode(PointLayout::spread, {3, 1}, {.encode = -1}), UsageError);
    CHECK_THROWS_AS(SplineCode(PointLayout::spread, {3, 0}), UsageError);
  }
}
