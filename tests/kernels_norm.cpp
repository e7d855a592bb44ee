#include <algorithm>

#include "tests/channel_statistics.h"
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

// Narrow ones are read as wider rows, with and without a rest; large ones by several threads.
const Dims shapes[] = {Dims{1, 1},       Dims{1, 5},     Dims{2, 1},   Dims{37, 3},
                       Dims{100, 16},    Dims{33, 17},   Dims{65, 64}, Dims{9, 130},
                       Dims{3000, 37},   Dims{20001, 1}, Dims{700, 0}, Dims{40, 700},
                       Dims{6, 4, 5, 12}};

constexpr double eps = 1e-3;

// The kernel's statistics of x, and how far they are off.
template <class T>
StatisticsError statistics_error(const Array<T>& x) {
  const Dims channels{channels_of(x.shape())};
  Array<T> mean(channels), variance(channels);
  cpu_backend().channel_statistics(mean, variance, x);
  CHECK(mean.guards_intact());
  CHECK(variance.guards_intact());
  return statistics_error(x, mean, variance);
}

// A batch norm's inputs; weights of both signs.
template <class T>
struct Problem {
  Array<T> x, residual, dy, mean, variance, weight, bias;
  explicit Problem(const Dims& shape)
      : x(Array<T>::uniform(shape, Layout::dense, 31, -2, 3)),
        residual(Array<T>::uniform(shape, Layout::dense, 32, -1, 1)),
        dy(Array<T>::uniform(shape, Layout::dense, 33, -1, 1)),
        mean(Array<T>::uniform(Dims{channels_of(shape)}, Layout::dense, 34, -1, 1)),
        variance(Array<T>::uniform(Dims{channels_of(shape)}, Layout::dense, 35, 0.1, 3)),
        weight(Array<T>::uniform(Dims{channels_of(shape)}, Layout::dense, 36, -2, 2)),
        bias(Array<T>::uniform(Dims{channels_of(shape)}, Layout::dense, 37, -1, 1)) {}
  Normalization normalization(bool relu) const {
    return {.mean = mean,
            .variance = variance,
            .weight = weight,
            .bias = bias,
            .eps = eps,
            .relu = relu};
  }
  double deviation(std::int64_t c) const {
    return std::sqrt(static_cast<double>(variance[c]) + eps);
  }
  // (x - mean) / deviation of element i
  double centred(std::int64_t i) const {
    const std::int64_t c = i % channels_of(x.shape());
    return (static_cast<double>(x[i]) - static_cast<double>(mean[c])) / deviation(c);
  }
};

template <class T>
double worst_of(const Array<T>& got, const std::vector<double>& want) {
  double worst = 0;
  for (std::int64_t i = 0; i < got.shape().count(); ++i)
    worst =
        std::max(worst, mismatch(static_cast<double>(got[i]), want[static_cast<std::size_t>(i)]));
  return worst;
}

template <class T>
void check_forward(const Problem<T>& p, bool relu, bool residual) {
  const Dims& shape = p.x.shape();
  Array<T> y(shape);
  const ConstView added = p.residual;
  cpu_backend().batch_norm(y, p.x, p.normalization(relu), residual ? &added : nullptr);
  std::vector<double> want;
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const std::int64_t c = i % channels_of(shape);
    double value = static_cast<double>(p.weight[c]) * p.centred(i) + static_cast<double>(p.bias[c]);
    if (residual) value += static_cast<double>(p.residual[i]);
    want.push_back(relu ? std::max(0.0, value) : value);
  }
  CHECK(worst_of(y, want) <= 16 * rounding<T>);
  CHECK(y.guards_intact());
}

template <class T>
void check_backward(const Problem<T>& p, bool relu, bool residual, bool of_batch) {
  const Dims& shape = p.x.shape();
  const std::int64_t C = channels_of(shape);
  const double rows = static_cast<double>(rows_of(shape));
  const Normalization norm = p.normalization(relu);
  Array<T> y(shape), dx(shape), dweight(Dims{C}), dbias(Dims{C}), dresidual(shape);
  const ConstView added = p.residual, result = y;
  cpu_backend().batch_norm(y, p.x, norm, residual ? &added : nullptr);
  const View dx_view = dx, dweight_view = dweight, dbias_view = dbias, dresidual_view = dresidual;
  cpu_backend().batch_norm_backward({.dx = &dx_view,
                                     .dweight = &dweight_view,
                                     .dbias = &dbias_view,
                                     .dresidual = relu && residual ? &dresidual_view : nullptr},
                                    p.dy, p.x, relu && residual ? &result : nullptr, norm,
                                    of_batch);
  // What passes is decided by the result as it was rounded.
  std::vector<double> g, want_dx, sum(static_cast<std::size_t>(C)), product(sum);
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const auto c = static_cast<std::size_t>(i % C);
    g.push_back(relu && !(y[i] > 0) ? 0 : static_cast<double>(p.dy[i]));
    sum[c] += g.back();
    product[c] += g.back() * p.centred(i);
  }
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const auto c = static_cast<std::size_t>(i % C);
    const double through = of_batch ? (sum[c] + p.centred(i) * product[c]) / rows : 0;
    want_dx.push_back(static_cast<double>(p.weight[i % C]) / p.deviation(i % C) *
                      (g[static_cast<std::size_t>(i)] - through));
  }
  const double tolerance = 64 * rounding<T>;
  CHECK(worst_of(dx, want_dx) <= tolerance);
  // A sum of terms of either sign carries the rounding of its largest partial sums.
  CHECK(worst_of(dbias, sum) <= tolerance * std::sqrt(rows + 1));
  CHECK(worst_of(dweight, product) <= tolerance * std::sqrt(rows + 1));
  if (relu && residual) CHECK(worst_of(dresidual, g) == 0);
  for (const Array<T>* out : {&dx, &dweight, &dbias, &dresidual}) CHECK(out->guards_intact());

  // Each gradient alone is the same.
  Array<T> alone(shape), alone_weight(Dims{C}), alone_bias(Dims{C}), alone_residual(shape);
  const View alone_view = alone, weight_view = alone_weight, bias_view = alone_bias,
             residual_view = alone_residual;
  const ConstView* const mask = relu && residual ? &result : nullptr;
  Backend& cpu = cpu_backend();
  cpu.batch_norm_backward({.dx = &alone_view}, p.dy, p.x, mask, norm, of_batch);
  cpu.batch_norm_backward({.dweight = &weight_view}, p.dy, p.x, mask, norm, of_batch);
  cpu.batch_norm_backward({.dbias = &bias_view}, p.dy, p.x, mask, norm, of_batch);
  const auto as_before = [](const Array<T>& a, const Array<T>& b) {
    bool same = true;
    for (std::int64_t i = 0; i < a.shape().count(); ++i) same = same && a[i] == b[i];
    return same;
  };
  CHECK(as_before(alone, dx));
  CHECK(as_before(alone_weight, dweight));
  CHECK(as_before(alone_bias, dbias));
  if (mask != nullptr) {
    cpu.batch_norm_backward({.dresidual = &residual_view}, p.dy, p.x, mask, norm, of_batch);
    CHECK(as_before(alone_residual, dresidual));
  }
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("channel statistics are as exact as their type", T, float, double) {
    under_all_settings([] {
      for (const Dims& shape : shapes) {
        CAPTURE(to_string(shape));
        const auto x = Array<T>::uniform(shape, Layout::dense, 30, -1, 2);
        const StatisticsError error = statistics_error(x);
        CHECK(error.mean <= 4 * rounding<T>);
        CHECK(error.variance <= 16 * rounding<T>);
      }
    });
  }

  TEST_CASE("no mean is large enough to cancel the variance, and no first row is too far out") {
    under_all_settings([] {
      for (const Dims& shape : {Dims{100, 16}, Dims{3000, 37}, Dims{20001, 1}, Dims{64, 130}}) {
        CAPTURE(to_string(shape));
        auto x = Array<float>::uniform(shape, Layout::dense, 30, 10000, 10001);
        CHECK(statistics_error(x).variance <= 16 * rounding<float>);
        auto y = Array<float>::uniform(shape, Layout::dense, 30, -1, 1);
        for (std::int64_t c = 0; c < channels_of(shape); ++c) y[c] = 1000;
        // An outlier is what its own block is summed around: rows_per_block times the rounding.
        CHECK(statistics_error(y).variance <= 4 * 32 * rounding<float>);
        CHECK(statistics_error(y).mean <= 16 * rounding<float>);
      }
    });
  }

  TEST_CASE("a channel of one value has no variance") {
    under_all_settings([] {
      Array<float> x(Dims{999, 3}), mean(Dims{3}), variance(Dims{3});
      for (std::int64_t i = 0; i < 999 * 3; ++i) x[i] = 0.1f;
      cpu_backend().channel_statistics(mean, variance, x);
      for (std::int64_t c = 0; c < 3; ++c) {
        CHECK(mean[c] == 0.1f);
        CHECK(variance[c] == 0);
      }
      x[4] = NAN;
      cpu_backend().channel_statistics(mean, variance, x);
      CHECK(mean[0] == 0.1f);
      CHECK(std::isnan(mean[1]));
      CHECK(std::isnan(variance[1]));
      CHECK(variance[2] == 0);
    });
  }

  TEST_CASE("statistics have the same bits on every instruction set and at every run") {
    const auto x = Array<float>::uniform(Dims{3001, 37}, Layout::dense, 38, -1, 1);
    std::vector<float> first;
    const int threads_before = num_threads();
    under_all_settings([&] {
      set_num_threads(2);
      Array<float> mean(Dims{37}), variance(Dims{37});
      cpu_backend().channel_statistics(mean, variance, x);
      std::vector<float> both;
      for (std::int64_t c = 0; c < 37; ++c) {
        both.push_back(mean[c]);
        both.push_back(variance[c]);
      }
      if (first.empty()) first = both;
      CHECK(both == first);
    });
    set_num_threads(threads_before);
  }

  TEST_CASE_TEMPLATE("batch norm with residual and ReLU", T, float, double) {
    under_all_settings([] {
      for (const Dims& shape : shapes) {
        CAPTURE(to_string(shape));
        const Problem<T> problem(shape);
        for (const bool relu : {false, true})
          for (const bool residual : {false, true}) check_forward(problem, relu, residual);
      }
    });
  }

  TEST_CASE_TEMPLATE("gradients of batch norm, all and each alone", T, float, double) {
    under_all_settings([] {
      for (const Dims& shape : shapes) {
        if (shape.count() == 0) continue;
        CAPTURE(to_string(shape));
        const Problem<T> problem(shape);
        for (const bool relu : {false, true})
          for (const bool residual : {false, true})
            for (const bool of_batch : {false, true}) {
              CAPTURE(relu);
              CAPTURE(residual);
              CAPTURE(of_batch);
              check_backward(problem, relu, residual, of_batch);
            }
      }
    });
  }

  TEST_CASE("ReLU passes a NaN of x on, and nothing of dy where the result is not positive") {
    under_all_settings([] {
      Problem<float> p(Dims{50, 20});
      p.x[7] = NAN;
      p.bias[3] = -1000;  // below zero in every row
      for (std::int64_t r = 0; r < 50; ++r) p.dy[r * 20 + 3] = INFINITY;
      Array<float> y(p.x.shape()), dbias(Dims{20}), dx(p.x.shape());
      const View dbias_view = dbias, dx_view = dx;
      cpu_backend().batch_norm(y, p.x, p.normalization(true), nullptr);
      cpu_backend().batch_norm_backward({.dx = &dx_view, .dbias = &dbias_view}, p.dy, p.x, nullptr,
                                        p.normalization(true), false);
      CHECK(std::isnan(y[7]));
      CHECK(!std::isnan(y[8]));
      CHECK(dbias[3] == 0);
      CHECK(dx[23] == 0);
    });
  }
}
