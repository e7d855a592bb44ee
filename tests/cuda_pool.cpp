// Pooling on a GPU has the CPU's bits: both add up a window, and a pixel's gradients, in one order.
#include "tests/cuda_repeat.h"
#include "tests/pool_cases.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

template <class T>
bool equal(const Array<T>& got, const Array<T>& want) {
  return worst_mismatch(got, [&](const Dims& i) { return static_cast<double>(want.at(i)); }) == 0;
}

template <class T>
void check_case(const PoolCase& c, Pooling op, const Array<T>& x) {
  const Dims shape = c.y();
  INFO(fmt::format("{} -> {}, {}", to_string(c.x), to_string(shape),
                   op == Pooling::max ? "max" : "average"));
  const auto dy = OnGpu<T>::uniform(shape, Layout::dense, 42, -1, 1);
  const OnGpu<T> image(x);
  Array<T> y(shape), dx(c.x);
  cpu_backend().pool2d(op, y, x, c.pool);
  cpu_backend().pool2d_backward(op, dx, dy.before(), x, y, c.pool);
  const auto got = repeated([&] {
    OnGpu<T> gpu_y(shape), gpu_dx(c.x);
    gpu_backend().pool2d(op, gpu_y, image, c.pool);
    gpu_backend().pool2d_backward(op, gpu_dx, dy, image, gpu_y, c.pool);
    return std::vector{gpu_y.now(), gpu_dx.now()};
  });
  CHECK(equal(got[0], y));
  CHECK(equal(got[1], dx));
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: pooling and its gradient", T, float, double) {
    if (skipped()) return;
    for (const PoolCase& c : pool_cases)
      for (const Pooling op : {Pooling::max, Pooling::average})
        check_case(c, op, Array<T>::uniform(c.x, Layout::dense, 41, -1, 1));
  }

  TEST_CASE("cuda: the first of equal maxima takes the gradient, and NaN is a maximum") {
    if (skipped()) return;
    for (const PoolCase& c : pool_cases) {
      // Few values, so that windows have several that are the largest; then some NaN.
      auto x = Array<float>::uniform(c.x, Layout::dense, 43, 0, 3);
      for (std::int64_t i = 0; i < c.x.count(); ++i) x[i] = std::floor(x[i]);
      check_case(c, Pooling::max, x);
      for (std::int64_t i = 0; i < c.x.count(); i += 7) x[i] = NAN;
      for (std::int64_t i = 3; i < c.x.count(); i += 11) x[i] = -INFINITY;
      check_case(c, Pooling::max, x);
      for (std::int64_t i = 0; i < c.x.count(); ++i) x[i] = -INFINITY;
      check_case(c, Pooling::max, x);
    }
  }

  TEST_CASE("cuda: an average's gradient does not read x and y") {
    if (skipped()) return;
    const PoolCase& c = pool_cases[2];
    const Dims shape = c.y();
    const auto dy = OnGpu<float>::uniform(shape, Layout::dense, 42, -1, 1);
    Array<float> want(c.x);
    const ConstView no_x{nullptr, DType::f32, c.x, contiguous_strides(c.x)};
    const ConstView no_y{nullptr, DType::f32, shape, contiguous_strides(shape)};
    cpu_backend().pool2d_backward(Pooling::average, want, dy.before(), no_x, no_y, c.pool);
    OnGpu<float> dx(c.x);
    gpu_backend().pool2d_backward(Pooling::average, dx, dy, no_x, no_y, c.pool);
    CHECK(equal(dx.now(), want));
  }

  TEST_CASE("cuda: pooling where memory is not aligned") {
    if (skipped()) return;
    const PoolCase& c = pool_cases[10];
    const Dims shape = c.y();
    const auto x = OnGpu<float>::uniform(c.x, Layout::dense, 41, -1, 1);
    Array<float> y(shape);
    cpu_backend().pool2d(Pooling::max, y, x.before(), c.pool);
    OnGpu<float> memory(Dims{shape.count() + 4});
    gpu_backend().pool2d(Pooling::max, moved(memory, shape, 1), x, c.pool);
    const Array<float> got = memory.now();
    bool same = true;
    for (std::int64_t i = 0; i < shape.count(); ++i) same = same && got[1 + i] == y[i];
    CHECK(same);
    CHECK(got.guards_intact());
  }
}
