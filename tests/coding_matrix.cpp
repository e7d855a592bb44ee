// Codes without training as matrices: published check values, exactness, decoding of mixed batches.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "coding/matrix/berrut_code.h"
#include "coding/matrix/exact_code.h"
#include "coding/matrix/interpolation.h"
#include "coding/matrix/parity_rows.h"
#include "coding/matrix/pattern_product.h"
#include "coding/query_codes.h"
#include "engine/autograd.h"
#include "kernels/check.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

double largest_difference(const Matrix& a, const Matrix& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.columns() == b.columns());
  Matrix difference = a;
  for (int i = 0; i < a.rows(); ++i)
    for (int j = 0; j < a.columns(); ++j) difference(i, j) -= b(i, j);
  return norm_infinity(difference);
}

Matrix random_matrix(int rows, int columns, std::uint64_t seed) {
  const auto values = random({rows, columns}, seed, DType::f64).to_vector<double>();
  Matrix matrix(rows, columns);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) matrix(i, j) = values[i * columns + j];
  return matrix;
}

// The largest bias of a code over all patterns of 0..losses missing answers.
double worst_bias(const MatrixCode& code, int losses) {
  double worst = pattern_quality(code, {}).bias;
  for (const ErasurePattern& missing : all_patterns(code.shape(), losses))
    worst = std::max(worst, pattern_quality(code, missing).bias);
  return worst;
}

const std::vector<std::string> names = {"mean",
                                        "berrut",
                                        "berrut-released",
                                        "systematic-berrut",
                                        "berrut-exact",
                                        "systematic-berrut-exact",
                                        "spline",
                                        "systematic-spline"};

std::unique_ptr<QueryCode> make(const std::string& name, const CodeShape& shape) {
  return make_query_code(name, {.shape = shape, .image = {2, 3, 1}, .classes = 4});
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("small matrices: singular values and pseudo-inverses") {
    for (const auto& [rows, columns] : {std::pair{7, 4}, {4, 7}, {5, 5}, {1, 3}}) {
      const Matrix a = random_matrix(rows, columns, 1);
      const SingularValues svd = singular_values(a);
      REQUIRE(static_cast<int>(svd.values.size()) == std::min(rows, columns));
      Matrix scaled = svd.u;
      for (int i = 0; i < scaled.rows(); ++i)
        for (int s = 0; s < scaled.columns(); ++s)
          scaled(i, s) *= svd.values[static_cast<std::size_t>(s)];
      CHECK(largest_difference(product(scaled, transposed(svd.v)), a) <= 1e-14);
      const Matrix one = Matrix::identity(std::min(rows, columns));
      CHECK(largest_difference(product(transposed(svd.u), svd.u), one) <= 1e-14);
      CHECK(largest_difference(product(transposed(svd.v), svd.v), one) <= 1e-14);
      // Moore and Penrose's conditions.
      const Matrix inverse = pseudo_inverse(a);
      const Matrix left = product(a, inverse), right = product(inverse, a);
      CHECK(largest_difference(product(left, a), a) <= 1e-13);
      CHECK(largest_difference(product(right, inverse), inverse) <= 1e-12);
      CHECK(largest_difference(left, transposed(left)) <= 1e-13);
      CHECK(largest_difference(right, transposed(right)) <= 1e-13);
    }
    // 3 and 4 along orthogonal directions; a second column that is the first one's double.
    CHECK(condition_number({{0, 3}, {4, 0}, {0, 0}}) == doctest::Approx(4.0 / 3));
    CHECK(condition_number({{1, 2}, {2, 4}}) == std::numeric_limits<double>::infinity());
    CHECK(largest_difference(pseudo_inverse({{1, 2}, {2, 4}}),
                             Matrix{{0.04, 0.08}, {0.08, 0.16}}) <= 1e-15);
    CHECK(largest_difference(pseudo_inverse({{2, 0}, {0, 1}}, 1), Matrix{{0.4, 0}, {0, 0.5}}) <=
          1e-15);
    CHECK_THROWS_AS(product(Matrix(2, 3), Matrix(2, 3)), Error);
    CHECK_THROWS_AS(pseudo_inverse(Matrix(2, 3), -1), Error);
  }

  TEST_CASE("Berrut's encodings are the published ones") {
    const BerrutCode spread(PointLayout::spread, {2, 1});
    CHECK(largest_difference(spread.encoding(),
                             {{1.2071, -0.2071}, {0.5, 0.5}, {-0.2071, 1.2071}}) <= 1e-4);
    const BerrutCode released(PointLayout::released, {2, 1});
    CHECK(largest_difference(released.encoding(),
                             {{1.2071, -0.2071}, {0.8536, 0.1464}, {0.1464, 0.8536}}) <= 1e-4);
    const BerrutCode systematic(PointLayout::systematic, {2, 1});
    CHECK(largest_difference(systematic.encoding(), {{1, 0}, {0, 1}, {-1, 2}}) <= 1e-14);
    CHECK(largest_difference(systematic_berrut_rows({2, 1}), {{-1, 2}}) <= 1e-14);
    // k = 3, N = 5: the middle worker stands on the middle data unit and is asked that alone.
    const BerrutCode middle(PointLayout::spread, {3, 2});
    CHECK(middle.encoding()(2, 0) == 0);
    CHECK(middle.encoding()(2, 1) == 1);
    CHECK(middle.encoding()(2, 2) == 0);
    for (int i = 0; i < 5; ++i) {
      double total = 0;
      for (double weight : middle.encoding().row(i)) total += weight;
      CHECK(std::abs(total - 1) <= 1e-14);
    }
  }

  TEST_CASE("signs alternate by rank among the workers that answered") {
    // D at α = cos(π/4) from β = 1 and −1: weights 1/(α − 1) and −1/(α + 1), divided by their sum.
    const BerrutCode code(PointLayout::spread, {2, 1});
    const double a = std::sqrt(0.5), first = 1 / (a - 1), second = -1 / (a + 1);
    const Matrix decoding = *code.decoding({1});
    CHECK(decoding(0, 0) == doctest::Approx(first / (first + second)));
    CHECK(decoding(0, 1) == 0);
    CHECK(decoding(0, 2) == doctest::Approx(second / (first + second)));
  }

  TEST_CASE("how far Berrut is from exact for a linear model when one answer is missing") {
    const std::vector<std::pair<int, double>> spread = {
        {2, 0}, {4, 1.31}, {8, 2.48}, {10, 2.95}, {12, 3.41}};
    const std::vector<std::pair<int, double>> released = {
        {2, 0}, {4, 3.63}, {8, 3.62}, {10, 3.98}, {12, 4.11}};
    for (const auto& [layout, published] :
         {std::pair{PointLayout::spread, spread}, {PointLayout::released, released}})
      for (const auto& [k, bias] : published) {
        const BerrutCode code(layout, {k, 1});
        double worst = 0;
        for (const ErasurePattern& missing : all_patterns(code.shape(), 1))
          worst = std::max(worst, pattern_quality(code, missing).bias);
        INFO("k = ", code.shape().k);
        CHECK(std::abs(worst - bias) <= 0.006);
      }
  }

  TEST_CASE("exact codes are exact for linear models under every pattern") {
    for (int k : {1, 2, 3, 5, 8})
      for (int r : {1, 2, 3}) {
        CAPTURE(k);
        CAPTURE(r);
        CHECK(worst_bias(*mean_code({k, r}), r) <= 1e-10);
        CHECK(worst_bias(*exact_berrut_code(PointLayout::spread, {k, r}), r) <= 1e-10);
        CHECK(worst_bias(*exact_berrut_code(PointLayout::systematic, {k, r}), r) <= 1e-8);
      }
    // A ridge is not exact, and amplifies errors less.
    const auto exact = exact_berrut_code(PointLayout::spread, {8, 1});
    const auto ridge = exact_berrut_code(PointLayout::spread, {8, 1}, 0.1);
    const PatternQuality sharp = pattern_quality(*exact, {0}), soft = pattern_quality(*ridge, {0});
    CHECK(soft.bias > 0.01);
    CHECK(soft.noise < 0.9 * sharp.noise);
    CHECK_THROWS_AS(exact_berrut_code(PointLayout::spread, {8, 1}, -1), UsageError);
  }

  TEST_CASE("parity rows") {
    CHECK(vandermonde_rows({3, 3}) == Matrix{{1, 1, 1}, {1, 2, 3}, {1, 4, 9}});
    CHECK(largest_difference(mean_rows({4, 2}), {{0.25, 0.25, 0.25, 0.25}, {0.1, 0.2, 0.3, 0.4}}) <=
          1e-15);
    // Two parities of which one is missing: x1 = 2·mean − x0, or from the other row.
    const Matrix encoding = stacked(Matrix::identity(2), mean_rows({2, 2}));
    CHECK(largest_difference(exact_decoding(encoding, {1, 3}), {{1, 0, 0, 0}, {-1, 0, 2, 0}}) <=
          1e-14);
    CHECK(largest_difference(exact_decoding(encoding, {1, 2}), {{1, 0, 0, 0}, {-0.5, 0, 0, 1.5}}) <=
          1e-14);
    // More parities than missing data: those alone are fitted, the data that came are not doubted.
    const Matrix fitted = exact_decoding(encoding, {1});
    CHECK(fitted(0, 0) == 1);
    CHECK(fitted(0, 2) == 0);
    CHECK(fitted(1, 1) == 0);
    CHECK(fitted(1, 2) == doctest::Approx(0.5 / (0.25 + 4.0 / 9)));
    CHECK(largest_difference(product(fitted, encoding), Matrix::identity(2)) <= 1e-14);
  }

  TEST_CASE("affine models are recovered through tensors") {
    const CodeShape shape{4, 2};
    const Tensor weight = random({6, 5}, 2, DType::f64), bias = random({5}, 3, DType::f64);
    const Tensor groups = random({7, 4, 2, 3, 1}, 4, DType::f64);
    const auto answer = [&](const Tensor& images) {
      return add(matmul(reshape(images, {7, images.size(1), 6}), weight), bias);
    };
    const std::vector<ErasurePattern> patterns = {{0}, {3, 4}, {}, {1, 2}, {5}, {0}, {0, 3}};
    for (const char* name : {"mean", "berrut-exact", "systematic-berrut-exact"}) {
      CAPTURE(name);
      const auto code = make(name, shape);
      const Tensor outputs = answer(code->queries(groups));
      const Tensor decoded = code->decode(outputs, Erasures(shape, patterns, 2));
      CHECK(largest_difference(decoded, answer(groups)) <= 1e-11);
    }
  }

  TEST_CASE("encoding and decoding equal plain loops, and so do their gradients") {
    const CodeShape shape{3, 2};
    const std::int64_t G = 6, C = 4, N = 5, k = 3, pixels = 6;
    const std::vector<ErasurePattern> patterns = {{0}, {1, 4}, {0}, {}, {3}, {0, 2}};
    for (const std::string& name : names) {
      CAPTURE(name);
      const auto made = make(name, shape);
      auto& code = dynamic_cast<MatrixCode&>(*made);
      Tensor groups = random({G, k, 2, 3, 1}, 5, DType::f64);
      groups.set_requires_grad(true);
      const Tensor queries = code.queries(groups);
      REQUIRE(queries.shape() == Shape{G, N, 2, 3, 1});
      const auto x = groups.to_vector<double>(), q = queries.to_vector<double>();
      const Tensor query_seed = random(queries.shape(), 6, DType::f64);
      queries.backward(query_seed);
      const auto dq = query_seed.to_vector<double>(), dx = groups.grad().to_vector<double>();
      double worst = 0;
      for (std::int64_t g = 0; g < G; ++g)
        for (std::int64_t p = 0; p < pixels; ++p) {
          for (int i = 0; i < N; ++i) {
            double want = 0;
            for (int j = 0; j < k; ++j) want += code.encoding()(i, j) * x[(g * k + j) * pixels + p];
            worst = std::max(worst, std::abs(q[(g * N + i) * pixels + p] - want));
          }
          for (int j = 0; j < k; ++j) {
            double want = 0;
            for (int i = 0; i < N; ++i)
              want += code.encoding()(i, j) * dq[(g * N + i) * pixels + p];
            worst = std::max(worst, std::abs(dx[(g * k + j) * pixels + p] - want));
          }
        }
      CHECK(worst <= 1e-13);
      CHECK(largest_difference(code.encode(groups), slice(queries, 1, k, N)) <= 1e-15);

      Tensor outputs = random({G, N, C}, 7, DType::f64);
      outputs.set_requires_grad(true);
      const Tensor decoded = code.decode(outputs, Erasures(shape, patterns, 2));
      REQUIRE(decoded.shape() == Shape{G, k, C});
      const Tensor seed = random(decoded.shape(), 8, DType::f64);
      decoded.backward(seed);
      const auto y = outputs.to_vector<double>(), d = decoded.to_vector<double>();
      const auto dd = seed.to_vector<double>(), dy = outputs.grad().to_vector<double>();
      worst = 0;
      for (std::int64_t g = 0; g < G; ++g) {
        const Matrix matrix = *code.decoding(patterns[static_cast<std::size_t>(g)]);
        for (std::int64_t c = 0; c < C; ++c) {
          for (int j = 0; j < k; ++j) {
            double want = 0;
            for (int i = 0; i < N; ++i) want += matrix(j, i) * y[(g * N + i) * C + c];
            worst = std::max(worst, std::abs(d[(g * k + j) * C + c] - want));
          }
          for (int i = 0; i < N; ++i) {
            double want = 0;
            for (int j = 0; j < k; ++j) want += matrix(j, i) * dd[(g * k + j) * C + c];
            worst = std::max(worst, std::abs(dy[(g * N + i) * C + c] - want));
          }
        }
      }
      CHECK(worst <= 1e-12);
    }
  }

  TEST_CASE("missing rows of a code of matrices may hold anything") {
    const CodeShape shape{3, 2};
    for (const std::string& name : names) {
      CAPTURE(name);
      const auto code = make(name, shape);
      Tensor outputs = random({3, 5, 4}, 9);
      const Erasures erasures(shape, {{0, 3}, {4}, {2}}, 2);
      const Tensor clean = code->decode(outputs, erasures);
      for (const auto& [group, unit] : {std::pair{0, 0}, {0, 3}, {1, 4}, {2, 2}})
        slice(slice(outputs, 0, group, group + 1), 1, unit, unit + 1)
            .fill_(std::numeric_limits<double>::quiet_NaN());
      CHECK(code->decode(outputs, erasures).to_vector<float>() == clean.to_vector<float>());
      // Data that came are what complete() gives for them, to the bit.
      if (code->systematic())
        CHECK(slice(clean, 1, 1, 2).to_vector<float>() ==
              slice(code->complete(outputs, erasures), 1, 1, 2).to_vector<float>());
    }
  }

  TEST_CASE("products by pattern: empty and single batches") {
    const std::vector<Matrix> matrices = {{{1, 2}}, {{0, 3}}};
    const Tensor x = Tensor::from(std::vector<double>{1, 2, 3, 4}, {1, 2, 2});
    CHECK(product_by_pattern(matrices, {1}, x).to_vector<double>() == std::vector<double>{9, 12});
    CHECK(product_by_pattern(matrices, {}, Tensor::zeros({0, 2, 3})).shape() == Shape{0, 1, 3});
    CHECK_THROWS_AS(product_by_pattern(matrices, {2}, x), Error);
    CHECK_THROWS_AS(product_by_pattern(matrices, {0, 1}, x), Error);
    CHECK_THROWS_AS(product_by_pattern({Matrix(1, 3)}, {0}, x), Error);
  }

  TEST_CASE("what a code of matrices costs and says of itself") {
    const auto mean = mean_code({4, 1});
    CHECK(mean->encode_multiply_adds({2, 3, 1}) == 4 * 6);  // the data are not computed
    CHECK(mean->decode_multiply_adds(10) == 4 * 10);        // the parity and three answers
    const BerrutCode berrut(PointLayout::spread, {4, 1});
    CHECK(berrut.encode_multiply_adds({2, 3, 1}) == 5 * 4 * 6);
    CHECK(berrut.decode_multiply_adds(10) == 4 * 4 * 10);
    CHECK(mean->decoding({2}) == mean->decoding({2}));  // kept

    // One missing: 2-norm of (4, −1, −1, −1).
    CHECK(pattern_quality(*mean, {2}).noise == doctest::Approx(std::sqrt(19.0)));
    CHECK(pattern_quality(*mean, {4}).noise == 0);
    CHECK(pattern_quality(*mean, {2, 3}).condition == std::numeric_limits<double>::infinity());
    const std::string text = mean->explain();
    CHECK(text.find("p0    0.2500    0.2500    0.2500    0.2500") != std::string::npos);
    CHECK(text.find("most noise: 4.36, missing x0") != std::string::npos);
    const std::string worst = BerrutCode(PointLayout::spread, {12, 1}).explain();
    CHECK(worst.find("most bias: 3.41") != std::string::npos);
  }

  TEST_CASE("shapes that codes of matrices cannot have are refused with both numbers") {
    for (const std::string& name : names) {
      CHECK_THROWS_WITH_AS(make(name, {3, 0}), doctest::Contains("k = 3, r = 0"), UsageError);
      CHECK_THROWS_WITH_AS(make(name, {60, 5}), doctest::Contains("k = 60, r = 5"), UsageError);
      const auto code = make(name, {3, 1});
      CHECK_THROWS_AS(code->queries(random({2, 4, 2, 3, 1}, 1)), Error);
      CHECK_THROWS_AS(Erasures(code->shape(), {{0, 1}}, code->most_losses()), Error);
    }
  }
}
