#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

const Dims shapes[] = {Dims{0, 10},   Dims{1, 1},     Dims{3, 2},  Dims{64, 10},
                       Dims{5, 15},   Dims{5, 16},    Dims{5, 17}, Dims{2, 100},
                       Dims{1, 1000}, Dims{3001, 10}, Dims{5, 0}};

// exp(x - max) / sum, in double, for row r.
std::vector<double> softmax_row(const std::vector<double>& x) {
  double most = -INFINITY, total = 0;
  for (const double v : x) most = std::max(most, v);
  std::vector<double> y;
  for (const double v : x) total += std::exp(v - most);
  for (const double v : x) y.push_back(std::exp(v - most) / total);
  return y;
}

template <class T>
std::vector<double> row_of(const Array<T>& x, std::int64_t r) {
  std::vector<double> row;
  for (std::int64_t c = 0; c < x.shape()[1]; ++c) row.push_back(x.at(Dims{r, c}));
  return row;
}

Array<std::int64_t> labels(std::int64_t rows, std::int64_t C) {
  Array<std::int64_t> label(Dims{rows});
  Draw draw(21);
  for (std::int64_t r = 0; r < rows; ++r) label[r] = C == 0 ? 0 : draw.below(C);
  return label;
}

double log_sum_exp(const std::vector<double>& x) {
  double most = -INFINITY, total = 0;
  for (const double v : x) most = std::max(most, v);
  for (const double v : x) total += std::exp(v - most);
  return most + std::log(total);
}

template <class T>
constexpr double tolerance = 16 * rounding<T>;

template <class Body>
void for_shapes(Body&& body) {
  under_all_settings([&] {
    for (const Dims& shape : shapes) {
      CAPTURE(to_string(shape));
      body(shape);
    }
  });
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("softmax and its derivative", T, float, double) {
    for_shapes([](const Dims& shape) {
      const auto x = Array<T>::uniform(shape, Layout::dense, 22, -8, 8);
      const auto dy = Array<T>::uniform(shape, Layout::dense, 23, -1, 1);
      Array<T> y(shape), dx(shape);
      cpu_backend().softmax(y, x);
      cpu_backend().softmax_backward(dx, dy, y);
      double worst = 0;
      for (std::int64_t r = 0; r < shape[0]; ++r) {
        const auto want = softmax_row(row_of(x, r));
        double dot = 0;
        for (std::int64_t c = 0; c < shape[1]; ++c)
          dot += want[static_cast<std::size_t>(c)] * dy.at(Dims{r, c});
        for (std::int64_t c = 0; c < shape[1]; ++c) {
          const double w = want[static_cast<std::size_t>(c)];
          worst = std::max(worst, mismatch(y.at(Dims{r, c}), w));
          worst = std::max(worst, mismatch(dx.at(Dims{r, c}), w * (dy.at(Dims{r, c}) - dot)));
        }
      }
      CHECK(worst <= tolerance<T>);
      CHECK(y.guards_intact());
      CHECK(dx.guards_intact());
    });
  }

  TEST_CASE_TEMPLATE("log-softmax and its derivative", T, float, double) {
    for_shapes([](const Dims& shape) {
      const auto x = Array<T>::uniform(shape, Layout::dense, 24, -8, 8);
      const auto dy = Array<T>::uniform(shape, Layout::dense, 25, -1, 1);
      Array<T> y(shape), dx(shape);
      cpu_backend().log_softmax(y, x);
      cpu_backend().log_softmax_backward(dx, dy, y);
      double worst = 0;
      for (std::int64_t r = 0; r < shape[0]; ++r) {
        const auto row = row_of(x, r);
        const double lse = log_sum_exp(row);
        double total = 0;
        for (std::int64_t c = 0; c < shape[1]; ++c) total += dy.at(Dims{r, c});
        for (std::int64_t c = 0; c < shape[1]; ++c) {
          const double want = row[static_cast<std::size_t>(c)] - lse;
          worst = std::max(worst, mismatch(y.at(Dims{r, c}), want));
          worst = std::max(worst,
                           mismatch(dx.at(Dims{r, c}), dy.at(Dims{r, c}) - std::exp(want) * total));
        }
      }
      CHECK(worst <= tolerance<T>);
      CHECK(y.guards_intact());
      CHECK(dx.guards_intact());
    });
  }

  TEST_CASE_TEMPLATE("cross-entropy and its derivative", T, float, double) {
    for_shapes([](const Dims& shape) {
      if (shape[1] == 0) return;  // no label is in range
      const auto x = Array<T>::uniform(shape, Layout::dense, 26, -8, 8);
      const auto label = labels(shape[0], shape[1]);
      for (const Layout slope_layout : {Layout::dense, Layout::scalar}) {
        const auto dloss = Array<T>::uniform(Dims{shape[0]}, slope_layout, 27, -1, 1);
        Array<T> loss(Dims{shape[0]}), probability(shape), dx(shape);
        cpu_backend().cross_entropy(loss, probability, x, label);
        cpu_backend().cross_entropy_backward(dx, dloss, probability, label);
        double worst = 0;
        for (std::int64_t r = 0; r < shape[0]; ++r) {
          const auto row = row_of(x, r);
          const auto p = softmax_row(row);
          const auto chosen = static_cast<std::size_t>(label[r]);
          worst = std::max(worst, mismatch(loss[r], log_sum_exp(row) - row[chosen]));
          for (std::size_t c = 0; c < row.size(); ++c) {
            const Dims at{r, static_cast<std::int64_t>(c)};
            worst = std::max(worst, mismatch(probability.at(at), p[c]));
            worst = std::max(
                worst, mismatch(dx.at(at), dloss.at(Dims{r}) * (p[c] - (c == chosen ? 1 : 0))));
          }
        }
        CHECK(worst <= tolerance<T>);
        CHECK(loss.guards_intact());
        CHECK(probability.guards_intact());
        CHECK(dx.guards_intact());
      }
    });
  }

  TEST_CASE("huge, infinite and NaN logits") {
    under_all_settings([] {
      Array<float> x(Dims{4, 3}), y(Dims{4, 3}), loss(Dims{4});
      Array<std::int64_t> label(Dims{4});
      const float rows[4][3] = {
          {1e30f, -1e30f, 0}, {-INFINITY, 1, 2}, {NAN, 1, 2}, {-200, -200, -200}};
      for (std::int64_t r = 0; r < 4; ++r) {
        for (std::int64_t c = 0; c < 3; ++c) x.at(Dims{r, c}) = rows[r][c];
        label[r] = 1;
      }
      cpu_backend().cross_entropy(loss, y, x, label);
      CHECK(y[0] == 1.0f);
      CHECK(y[1] == 0.0f);
      CHECK(loss[0] == 2e30f);
      CHECK(y[3] == 0.0f);
      CHECK(mismatch(loss[1], std::log1p(std::exp(1.0))) <= 1e-6);
      for (int c = 0; c < 3; ++c) CHECK(std::isnan(y[6 + c]));
      CHECK(std::isnan(loss[2]));
      CHECK(mismatch(y[9], 1.0 / 3) <= 1e-6);
      CHECK(mismatch(loss[3], std::log(3.0)) <= 1e-6);
    });
  }

  TEST_CASE_TEMPLATE("argmax takes the first of equals, and NaN before all", T, float, double) {
    for_shapes([](const Dims& shape) {
      if (shape[1] == 0) return;
      auto x = Array<T>::uniform(shape, Layout::dense, 28, -2, 2);
      // Coarse values, so that many are equal.
      for_each_index(shape, [&](const Dims& i) { x.at(i) = std::round(x.at(i)); });
      Array<std::int64_t> out(Dims{shape[0]});
      cpu_backend().argmax(out, x);
      std::int64_t wrong = 0;
      for (std::int64_t r = 0; r < shape[0]; ++r) {
        std::int64_t best = 0;
        for (std::int64_t c = 0; c < shape[1]; ++c)
          if (x.at(Dims{r, c}) > x.at(Dims{r, best})) best = c;
        wrong += out[r] != best;
      }
      CHECK(wrong == 0);
      CHECK(out.guards_intact());
    });
    Array<T> x(Dims{2, 4});
    const double values[] = {1, NAN, 5, NAN, NAN, 2, INFINITY, 1};
    for (std::int64_t i = 0; i < 8; ++i) x[i] = static_cast<T>(values[i]);
    Array<std::int64_t> out(Dims{2});
    cpu_backend().argmax(out, x);
    CHECK(out[0] == 1);
    CHECK(out[1] == 0);
  }
}
