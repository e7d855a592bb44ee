// Batch norm on a GPU: sizes around the places where rows and channels are split, the statistics'
// exactness, and the CPU's bits where no sum is in between. The op list has the rest.
#include <algorithm>

#include "tests/channel_statistics.h"
#include "tests/cuda_repeat.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

constexpr double eps = 1e-3;

// Threads with one channel or four, tiles of 32 threads, rows to a thread, parts of the rows; and so
// many channels that a thread has more rows than it sums in T.
std::vector<Dims> shapes() {
  std::vector<Dims> all;
  for (const std::int64_t C : {1, 2, 3, 4, 5, 12, 31, 33, 64, 124, 128, 132, 260})
    for (const std::int64_t rows : {1, 2, 8, 9, 31, 33, 65, 129}) all.push_back({rows, C});
  for (const std::int64_t C : {1, 3, 4, 64})
    for (const std::int64_t rows : {1023, 1024, 4099}) all.push_back({rows, C});
  all.push_back({6, 5, 4, 12});
  return all;
}
const Dims many_channels{270, 32 * 512 + 1};

template <class T>
std::vector<Array<T>> statistics(const ConstView& x) {
  const Dims channels{channels_of(x.shape)};
  OnGpu<T> mean(channels), variance(channels);
  gpu_backend().channel_statistics(mean, variance, x);
  return {mean.now(), variance.now()};
}

// 32 roundings of the variance are what the first row's distance from the others may cost.
template <class T>
void check_statistics(const Array<T>& x, double variance_roundings) {
  const OnGpu<T> memory(x);
  const auto got = repeated([&] { return statistics<T>(memory); });
  const StatisticsError error = statistics_error(x, got[0], got[1]);
  CHECK(error.mean <= 16 * rounding<T>);
  CHECK(error.variance <= variance_roundings * rounding<T>);
}

// A batch norm's inputs on the GPU and (before()) on the host; weights of both signs.
template <class T>
struct Problem {
  OnGpu<T> x, residual, dy, mean, variance, weight, bias;
  explicit Problem(const Dims& shape)
      : x(OnGpu<T>::uniform(shape, Layout::dense, 31, -2, 3)),
        residual(OnGpu<T>::uniform(shape, Layout::dense, 32, -1, 1)),
        dy(OnGpu<T>::uniform(shape, Layout::dense, 33, -1, 1)),
        mean(OnGpu<T>::uniform({channels_of(shape)}, Layout::dense, 34, -1, 1)),
        variance(OnGpu<T>::uniform({channels_of(shape)}, Layout::dense, 35, 0.1, 3)),
        weight(OnGpu<T>::uniform({channels_of(shape)}, Layout::dense, 36, -2, 2)),
        bias(OnGpu<T>::uniform({channels_of(shape)}, Layout::dense, 37, -1, 1)) {}
  Normalization on_gpu(bool relu) const { return {mean, variance, weight, bias, eps, relu}; }
  Normalization on_host(bool relu) const {
    return {mean.before(), variance.before(), weight.before(), bias.before(), eps, relu};
  }
};

template <class T>
double difference(const Array<T>& got, const Array<T>& want) {
  return worst_mismatch(got, [&](const Dims& i) { return static_cast<double>(want.at(i)); });
}

template <class T>
void check_problem(const Dims& shape, bool relu, bool with_residual, bool of_batch) {
  INFO(fmt::format("{}, relu {}, residual {}, of the batch {}", to_string(shape), relu,
                   with_residual, of_batch));
  const Problem<T> p(shape);
  const Dims channels{channels_of(shape)};
  const double rows = static_cast<double>(shape.count() / channels[0]);
  const bool kept = relu && with_residual;

  Array<T> want_y(shape), dx(shape), dweight(channels), dbias(channels), dresidual(shape);
  const ConstView host_residual = p.residual.before(), host_y = want_y;
  cpu_backend().batch_norm(want_y, p.x.before(), p.on_host(relu),
                           with_residual ? &host_residual : nullptr);
  const View dx_view = dx, dweight_view = dweight, dbias_view = dbias, dresidual_view = dresidual;
  cpu_backend().batch_norm_backward(
      {&dx_view, &dweight_view, &dbias_view, kept ? &dresidual_view : nullptr}, p.dy.before(),
      p.x.before(), kept ? &host_y : nullptr, p.on_host(relu), of_batch);

  const auto got = repeated([&] {
    OnGpu<T> y(shape), gpu_dx(shape), gpu_dweight(channels), gpu_dbias(channels), gpu_kept(shape);
    const ConstView residual = p.residual, result = y;
    gpu_backend().batch_norm(y, p.x, p.on_gpu(relu), with_residual ? &residual : nullptr);
    const View a = gpu_dx, b = gpu_dweight, c = gpu_dbias, d = gpu_kept;
    gpu_backend().batch_norm_backward({&a, &b, &c, kept ? &d : nullptr}, p.dy, p.x,
                                      kept ? &result : nullptr, p.on_gpu(relu), of_batch);
    // Each alone is the same.
    for (const View* one : {&a, &b, &c}) {
      OnGpu<T> alone(one->shape);
      const View view = alone;
      gpu_backend().batch_norm_backward(
          {one == &a ? &view : nullptr, one == &b ? &view : nullptr, one == &c ? &view : nullptr},
          p.dy, p.x, kept ? &result : nullptr, p.on_gpu(relu), of_batch);
      const OnGpu<T>& all = one == &a ? gpu_dx : one == &b ? gpu_dweight : gpu_dbias;
      CHECK(same_bits(alone.now(), all.now()));
    }
    return std::vector{y.now(), gpu_dx.now(), gpu_dweight.now(), gpu_dbias.now(), gpu_kept.now()};
  });
  CHECK(difference(got[0], want_y) == 0);
  CHECK(difference(got[1], dx) <= (of_batch ? 64 * rounding<T> : 0));
  // A sum of terms of either sign carries the rounding of its largest partial sums.
  CHECK(difference(got[2], dweight) <= 64 * rounding<T> * std::sqrt(rows + 1));
  CHECK(difference(got[3], dbias) <= 64 * rounding<T> * std::sqrt(rows + 1));
  if (kept) CHECK(difference(got[4], dresidual) == 0);
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: channel statistics are as exact as their type", T, float, double) {
    if (skipped()) return;
    for (const Dims& shape : shapes()) {
      CAPTURE(to_string(shape));
      check_statistics(Array<T>::uniform(shape, Layout::dense, 30, -1, 2), 64);
    }
    check_statistics(Array<T>::uniform(many_channels, Layout::dense, 30, -1, 2), 64);
  }

  TEST_CASE("cuda: no mean is large enough to cancel the variance, no first row too far out") {
    if (skipped()) return;
    const double deviation = std::sqrt(3.0);  // of a uniform number, 1
    for (const Dims& shape : {Dims{100, 16}, Dims{3000, 37}, Dims{5001, 1}, Dims{64, 132}}) {
      CAPTURE(to_string(shape));
      for (const double mean : {1000.0, -10000.0})
        check_statistics(
            Array<float>::uniform(shape, Layout::dense, 30, mean - deviation, mean + deviation),
            64);
      // An outlier is what some rows are summed around: their number times the rounding.
      auto far = Array<float>::uniform(shape, Layout::dense, 30, -1, 1);
      for (std::int64_t c = 0; c < channels_of(shape); ++c) far[c] = 1000;
      check_statistics(far, 4 * 32);
    }
  }

  TEST_CASE("cuda: a channel of one value has no variance, and a NaN stays in its channel") {
    if (skipped()) return;
    for (const std::int64_t C : {3, 4, 132}) {
      Array<float> x(Dims{999, C});
      for (std::int64_t i = 0; i < 999 * C; ++i) x[i] = 0.1f;
      const auto same = statistics<float>(OnGpu<float>(x));
      for (std::int64_t c = 0; c < C; ++c) {
        CHECK(same[0][c] == 0.1f);
        CHECK(same[1][c] == 0);
      }
      x[500 * C + 1] = NAN;
      x[2] = INFINITY;
      const auto special = statistics<float>(OnGpu<float>(x));
      for (std::int64_t c = 0; c < C; ++c) {
        CHECK(std::isnan(special[1][c]) == (c == 1 || c == 2));
        if (c != 1 && c != 2) CHECK(special[0][c] == 0.1f);
      }
      CHECK(std::isnan(special[0][1]));
    }
  }

  TEST_CASE_TEMPLATE("cuda: batch norm and its gradients around every split", T, float, double) {
    if (skipped()) return;
    const std::vector<Dims> all = shapes();
    for (std::size_t i = 0; i < all.size(); ++i)
      for (int options = 0; options < 8; ++options) {
        // Every shape with some of the options, some shapes with all.
        if (i % 7 != 0 && options != static_cast<int>(i * 3 % 8)) continue;
        check_problem<T>(all[i], (options & 1) != 0, (options & 2) != 0, (options & 4) != 0);
      }
  }

  TEST_CASE("cuda: batch norm of many channels, of which a thread sums many rows") {
    if (skipped()) return;
    check_problem<float>(many_channels, true, true, true);
  }

  TEST_CASE("cuda: batch norm in place and where memory is not aligned has the same bits") {
    if (skipped()) return;
    const Dims shape{70, 12};
    const Problem<float> p(shape);
    const Normalization norm = p.on_gpu(true);
    OnGpu<float> y(shape), dx(shape), dweight(Dims{12}), kept(shape);
    const ConstView residual = p.residual, result = y;
    const View dx_view = dx, dweight_view = dweight, kept_view = kept;
    gpu_backend().batch_norm(y, p.x, norm, &residual);
    gpu_backend().batch_norm_backward({&dx_view, &dweight_view, nullptr, &kept_view}, p.dy, p.x,
                                      &result, norm, true);
    const auto want = statistics<float>(p.x);

    OnGpu<float> memory(Dims{shape.count() + 4}), slopes(Dims{shape.count() + 4}), other(Dims{12});
    const View place = moved(memory, shape, 1), slope = moved(slopes, shape, 3), weight = other;
    const auto has = [&](const OnGpu<float>& got, const OnGpu<float>& wanted, std::int64_t by) {
      const Array<float> a = got.now(), b = wanted.now();
      for (std::int64_t i = 0; i < shape.count(); ++i)
        if (a[by + i] != b[i]) return false;
      return a.guards_intact();
    };
    gpu_backend().copy(place, p.x);
    const auto got = statistics<float>(place);
    CHECK(same_bits(got[0], want[0]));
    CHECK(same_bits(got[1], want[1]));
    gpu_backend().batch_norm(place, place, norm, &residual);
    CHECK(has(memory, y, 1));
    // dx and the residual's gradient over dy, each in its turn.
    gpu_backend().copy(place, p.dy);
    gpu_backend().batch_norm_backward({&place, &weight, nullptr, &slope}, place, p.x, &result, norm,
                                      true);
    CHECK(has(memory, dx, 1));
    CHECK(has(slopes, kept, 3));
    CHECK(same_bits(other.now(), dweight.now()));
    gpu_backend().copy(place, p.dy);
    gpu_backend().batch_norm_backward({&slope, nullptr, nullptr, &place}, place, p.x, &result, norm,
                                      true);
    CHECK(has(memory, kept, 1));
    CHECK(has(slopes, dx, 3));
  }

  TEST_CASE("cuda: ReLU passes a NaN of x on, and nothing of dy where the result is not positive") {
    if (skipped()) return;
    const Dims shape{50, 20};
    auto x = Array<float>::uniform(shape, Layout::dense, 31, -2, 3);
    auto slope = Array<float>::uniform(shape, Layout::dense, 33, -1, 1);
    auto bias = Array<float>::uniform({20}, Layout::dense, 37, -1, 1);
    x[7] = NAN;
    bias[3] = -1000;  // below zero in every row
    for (std::int64_t r = 0; r < 50; ++r) slope[r * 20 + 3] = INFINITY;
    const Problem<float> p(shape);
    const OnGpu<float> gpu_x(x), gpu_dy(slope), gpu_bias(bias);
    Normalization norm = p.on_gpu(true);
    norm.bias = gpu_bias;
    OnGpu<float> y(shape), dx(shape), dbias(Dims{20});
    const View dx_view = dx, dbias_view = dbias;
    gpu_backend().batch_norm(y, gpu_x, norm, nullptr);
    gpu_backend().batch_norm_backward({.dx = &dx_view, .dbias = &dbias_view}, gpu_dy, gpu_x,
                                      nullptr, norm, false);
    CHECK(std::isnan(y.now()[7]));
    CHECK(!std::isnan(y.now()[8]));
    CHECK(dbias.now()[3] == 0);
    CHECK(dx.now()[23] == 0);
  }

  TEST_CASE("cuda: the gradients of no rows are zero") {
    if (skipped()) return;
    const Dims shape{0, 6};
    const Problem<float> p(shape);
    OnGpu<float> dx(shape), dweight(Dims{6}), dbias(Dims{6});
    const View dx_view = dx, dweight_view = dweight, dbias_view = dbias;
    gpu_backend().batch_norm_backward({&dx_view, &dweight_view, &dbias_view}, p.dy, p.x, nullptr,
                                      p.on_gpu(false), true);
    for (std::int64_t c = 0; c < 6; ++c) {
      CHECK(dweight.now()[c] == 0);
      CHECK(dbias.now()[c] == 0);
    }
  }
}
