// float exp, log and tanh against the C library in double, over the whole range of floats, in units
// in the last place of the exact result; through the backend, so on every instruction set.
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

// The distance of two neighbouring floats at x.
double ulp(double x) {
  const int exponent = std::max(std::ilogb(std::abs(x)), -126);
  return std::ldexp(1.0, exponent - 23);
}

// Every `step`-th float of both signs, infinities and NaN included.
std::vector<float> floats(std::uint32_t step) {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < 0x100000000u; bits += step)
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  for (const float special :
       {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1.0f, -1.0f, 88.72283f, 88.7229f, -87.33654f,
        -87.33655f, -104.0f, 1e-45f, 1.17549435e-38f, 3.4e38f})
    values.push_back(special);
  return values;
}

Array<float> apply(Unary op, const std::vector<float>& x) {
  const Dims shape{static_cast<std::int64_t>(x.size())};
  Array<float> in(shape), out(shape);
  for (std::size_t i = 0; i < x.size(); ++i) in[static_cast<std::int64_t>(i)] = x[i];
  cpu_backend().unary(op, out, in, 0);
  CHECK(out.guards_intact());
  return out;
}

template <class Exact>
double worst_ulp(Unary op, const std::vector<float>& x, Exact&& exact) {
  const Array<float> y = apply(op, x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double want = exact(static_cast<double>(x[i]));
    const double got = y[static_cast<std::int64_t>(i)];
    double error = 0;
    if (std::isnan(want) || std::isnan(got))
      error = std::isnan(want) && std::isnan(got) ? 0 : INFINITY;
    else if (std::isinf(static_cast<float>(want)) || std::isinf(got))
      error = static_cast<float>(want) == static_cast<float>(got) ? 0 : INFINITY;
    else
      error = std::abs(got - want) / ulp(want);
    worst = std::max(worst, error);
  }
  return worst;
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("float exp is within 2 ulp, and 0 where the result is denormal") {
    const std::vector<float> x = floats(4099);
    std::vector<float> dense;
    for (float v = -88; v < 89.5f; v += 0.001f) dense.push_back(v);
    const auto exact = [](double v) {
      const double y = std::exp(v);
      return y < 1.17549435e-38 ? 0.0 : y;
    };
    under_all_settings([&] {
      CHECK(worst_ulp(Unary::exp, x, exact) <= 2);
      CHECK(worst_ulp(Unary::exp, dense, exact) <= 2);
    });
  }

  TEST_CASE("float log is within 2 ulp, denormal inputs included") {
    const std::vector<float> x = floats(4099);
    std::vector<float> dense;
    for (float v = 0.5f; v < 2.0f; v += 0.00001f) dense.push_back(v);
    const auto exact = [](double v) { return std::log(v); };
    under_all_settings([&] {
      CHECK(worst_ulp(Unary::log, x, exact) <= 2);
      CHECK(worst_ulp(Unary::log, dense, exact) <= 2);
    });
  }

  TEST_CASE("float tanh is within 2 ulp") {
    const std::vector<float> x = floats(4099);
    std::vector<float> dense;
    for (float v = -10; v < 10; v += 0.0001f) dense.push_back(v);
    const auto exact = [](double v) { return std::tanh(v); };
    under_all_settings([&] {
      CHECK(worst_ulp(Unary::tanh, x, exact) <= 2);
      CHECK(worst_ulp(Unary::tanh, dense, exact) <= 2);
    });
  }

  TEST_CASE("float sqrt is the rounded root") {
    const std::vector<float> x = floats(65521);
    under_all_settings(
        [&] { CHECK(worst_ulp(Unary::sqrt, x, [](double v) { return std::sqrt(v); }) <= 0.5); });
  }

  TEST_CASE("limits are exact") {
    const std::vector<float> x{0.0f, -0.0f, INFINITY, -INFINITY, NAN, -1.0f, 1.0f};
    under_all_settings([&] {
      const Array<float> e = apply(Unary::exp, x), l = apply(Unary::log, x),
                         t = apply(Unary::tanh, x);
      CHECK(e[0] == 1.0f);
      CHECK(e[1] == 1.0f);
      CHECK(e[2] == INFINITY);
      CHECK(e[3] == 0.0f);
      CHECK(std::isnan(e[4]));
      CHECK(l[0] == -INFINITY);
      CHECK(l[1] == -INFINITY);
      CHECK(l[2] == INFINITY);
      CHECK(std::isnan(l[3]));
      CHECK(std::isnan(l[4]));
      CHECK(std::isnan(l[5]));
      CHECK(l[6] == 0.0f);
      CHECK(t[0] == 0.0f);
      CHECK(t[2] == 1.0f);
      CHECK(t[3] == -1.0f);
      CHECK(std::isnan(t[4]));
    });
  }
}
