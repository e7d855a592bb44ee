#include "tests/kernels_arrays.h"
#include "tests/pool_cases.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

// body(index in x) for the pixels of a result's window that lie inside x, row by row.
template <class Body>
void for_window(const PoolCase& c, const Dims& at, Body&& body) {
  const auto& [window, stride, padding] = c.pool;
  for (std::int64_t r = 0; r < window.height; ++r)
    for (std::int64_t s = 0; s < window.width; ++s) {
      const std::int64_t h = at[1] * stride.height - padding.height + r;
      const std::int64_t w = at[2] * stride.width - padding.width + s;
      if (h >= 0 && h < c.x[1] && w >= 0 && w < c.x[2]) body(Dims{at[0], h, w, at[3]});
    }
}

template <class T>
void check_case(const PoolCase& c, Pooling op, const Array<T>& x) {
  const Dims shape = c.y();
  const auto dy = Array<T>::uniform(shape, Layout::dense, 42, -1, 1);
  Array<T> y(shape), dx(c.x);
  cpu_backend().pool2d(op, y, x, c.pool);
  cpu_backend().pool2d_backward(op, dx, dy, x, y, c.pool);
  CHECK(y.guards_intact());
  CHECK(dx.guards_intact());

  const double size = static_cast<double>(c.pool.window.height * c.pool.window.width);
  Array<double> want_y(shape), want_dx(c.x);
  for_each_index(c.x, [&](const Dims& at) { want_dx.at(at) = 0; });
  for_each_index(shape, [&](const Dims& at) {
    const double slope = static_cast<double>(dy.at(at));
    double sum = 0, most = 0;
    Dims best;
    for_window(c, at, [&](const Dims& pixel) {
      const double value = static_cast<double>(x.at(pixel));
      sum += value;
      if (best.rank() == 0 || (value > most && !std::isnan(most)) ||
          (std::isnan(value) && !std::isnan(most))) {
        most = value;
        best = pixel;
      }
      if (op == Pooling::average) want_dx.at(pixel) += slope / size;
    });
    if (op == Pooling::max) want_dx.at(best) += slope;
    want_y.at(at) = op == Pooling::max ? most : sum / size;
  });
  const double tolerance = 8 * rounding<T>;
  CHECK(worst_mismatch(y, [&](const Dims& at) { return want_y.at(at); }) <= tolerance);
  CHECK(worst_mismatch(dx, [&](const Dims& at) { return want_dx.at(at); }) <= tolerance);
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("pooling and its gradient", T, float, double) {
    under_all_settings([] {
      for (const PoolCase& c : pool_cases)
        for (const Pooling op : {Pooling::max, Pooling::average}) {
          CAPTURE(to_string(c.x));
          check_case(c, op, Array<T>::uniform(c.x, Layout::dense, 41, -1, 1));
        }
    });
  }

  TEST_CASE("the first of equal maxima takes the gradient, and NaN is a maximum") {
    under_all_settings([] {
      for (const PoolCase& c : pool_cases) {
        CAPTURE(to_string(c.x));
        // Few values, so that windows have several that are the largest; then some NaN.
        auto x = Array<float>::uniform(c.x, Layout::dense, 43, 0, 3);
        for (std::int64_t i = 0; i < c.x.count(); ++i) x[i] = std::floor(x[i]);
        check_case(c, Pooling::max, x);
        for (std::int64_t i = 0; i < c.x.count(); i += 7) x[i] = NAN;
        for (std::int64_t i = 3; i < c.x.count(); i += 11) x[i] = -INFINITY;
        check_case(c, Pooling::max, x);
      }
      Array<float> least(Dims{1, 2, 2, 5}), y(Dims{1, 1, 1, 5});
      for (std::int64_t i = 0; i < 20; ++i) least[i] = -INFINITY;
      cpu_backend().pool2d(Pooling::max, y, least, {.window = 2});
      for (std::int64_t c = 0; c < 5; ++c) CHECK(y[c] == -INFINITY);
    });
  }
}
