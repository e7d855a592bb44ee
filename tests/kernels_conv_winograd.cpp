#include "kernels/cpu/conv_winograd.h"

#include "kernels/cpu/loops/winograd_transforms.h"
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

ConvShape shape_of(std::int64_t N, std::int64_t H, std::int64_t W, std::int64_t C, std::int64_t K,
                   HeightWidth padding, HeightWidth dilation = 1) {
  Conv2d conv;
  conv.padding = padding;
  conv.dilation = dilation;
  const auto P = window_count(H, 3, 1, padding.height, dilation.height);
  const auto Q = window_count(W, 3, 1, padding.width, dilation.width);
  return {N, H, W, C, K, 3, 3, P, Q, conv};
}

Dims x_dims(const ConvShape& s) { return {s.N, s.H, s.W, s.C}; }
Dims w_dims(const ConvShape& s) { return {s.K, 3, 3, s.C}; }
Dims y_dims(const ConvShape& s) { return {s.N, s.P, s.Q, s.K}; }

// Every pair of a result and an element of x that a tap joins: body(y's row, x's row, tap); a row
// is one pixel's channels.
template <class Body>
void for_each_tap(const ConvShape& s, Body&& body) {
  for (std::int64_t n = 0; n < s.N; ++n)
    for (std::int64_t p = 0; p < s.P; ++p)
      for (std::int64_t q = 0; q < s.Q; ++q)
        for (std::int64_t tap = 0; tap < 9; ++tap) {
          const std::int64_t h = p + tap / 3 * s.conv.dilation.height - s.conv.padding.height;
          const std::int64_t w = q + tap % 3 * s.conv.dilation.width - s.conv.padding.width;
          if (h >= 0 && h < s.H && w >= 0 && w < s.W)
            body((n * s.P + p) * s.Q + q, (n * s.H + h) * s.W + w, tap);
        }
}

// The three passes by their definition, summed in T.
template <class T>
struct Passes {
  std::vector<T> y, dx, dw;

  Passes(const ConvShape& s, const std::vector<T>& x, const std::vector<T>& w,
         const std::vector<T>& dy)
      : y(dy.size()), dx(x.size()), dw(w.size()) {
    for_each_tap(s, [&](std::int64_t y_row, std::int64_t x_row, std::int64_t tap) {
      for (std::int64_t k = 0; k < s.K; ++k) {
        const auto at_y = static_cast<std::size_t>(y_row * s.K + k);
        const auto at_x = static_cast<std::size_t>(x_row * s.C);
        const auto at_w = static_cast<std::size_t>((k * 9 + tap) * s.C);
        T sum = y[at_y];  // one sum over taps and channels, as the simplest loop makes it
        for (std::size_t c = 0; c < static_cast<std::size_t>(s.C); ++c) {
          sum += w[at_w + c] * x[at_x + c];
          dx[at_x + c] += dy[at_y] * w[at_w + c];
          dw[at_w + c] += dy[at_y] * x[at_x + c];
        }
        y[at_y] = sum;
      }
    });
  }
};

struct Errors {
  double rms, most;  // relative to the root mean square of what is wanted
};

// `got` is an Array or a vector.
template <class Values>
Errors errors_of(const Values& got, const std::vector<double>& want) {
  if (want.empty()) return {0, 0};
  double size = 0, square = 0, most = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - want[i]);
    if (!(error <= most)) most = error;  // also when it is NaN
    square += error * error;
    size += want[i] * want[i];
  }
  const auto count = static_cast<double>(want.size());
  const double scale = size > 0 ? std::sqrt(size / count) : 1;
  return {std::sqrt(square / count) / scale, most / scale};
}

template <class T>
struct Problem {
  ConvShape s;
  Array<T> x, w, dy;

  explicit Problem(const ConvShape& shape)
      : s(shape),
        x(Array<T>::uniform(x_dims(s), Layout::dense, 51, -1, 1)),
        w(Array<T>::uniform(w_dims(s), Layout::dense, 52, -1, 1)),
        dy(Array<T>::uniform(y_dims(s), Layout::dense, 53, -1, 1)) {}

  template <class U>
  Passes<U> exact() const {
    const auto values = [](const Array<T>& a) {
      std::vector<U> all;
      for (std::int64_t i = 0; i < a.shape().count(); ++i) all.push_back(static_cast<U>(a[i]));
      return all;
    };
    return Passes<U>(s, values(x), values(w), values(dy));
  }
};

template <class T>
struct Results {
  Array<T> y, dx, dw;

  explicit Results(const Problem<T>& p) : y(y_dims(p.s)), dx(x_dims(p.s)), dw(w_dims(p.s)) {
    cpu::winograd_forward<T>(p.s, &y[0], &p.x[0], &p.w[0], {});
    cpu::winograd_input_gradient<T>(p.s, &dx[0], &p.dy[0], &p.w[0]);
    cpu::winograd_weight_gradient<T>(p.s, &dw[0], &p.dy[0], &p.x[0]);
  }
};

// PERFORMANCE: the largest error that is accepted in float, and as much in units of double.
template <class T>
constexpr double tolerance = 3e-5 * rounding<T> / rounding<float>;

template <class T>
void check_passes(const ConvShape& s) {
  INFO(fmt::format("({},{},{},{}) to {} channels, padding {} x {}, dilation {} x {}", s.N, s.H, s.W,
                   s.C, s.K, s.conv.padding.height, s.conv.padding.width, s.conv.dilation.height,
                   s.conv.dilation.width));
  REQUIRE(cpu::winograd_applies(s));
  const Problem<T> problem(s);
  const auto exact = problem.template exact<double>();
  under_all_settings([&] {
    const Results<T> got(problem);
    CHECK(errors_of(got.y, exact.y).most <= tolerance<T>);
    CHECK(errors_of(got.dx, exact.dx).most <= tolerance<T>);
    CHECK(errors_of(got.dw, exact.dw).most <= tolerance<T>);
    CHECK(got.y.guards_intact());
    CHECK(got.dx.guards_intact());
    CHECK(got.dw.guards_intact());
  });
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("six points give four outputs of three taps, and three taps of four gradients") {
    using namespace cpu::winograd;
    double worst = 0;
    // Both are linear in each argument: unit vectors say all.
    for (int input = 0; input < 6; ++input) {
      double d[6] = {}, v[6];
      d[input] = 1;
      InputTransform<double>::apply(d, v);
      for (int tap = 0; tap < 3; ++tap) {
        double g[3] = {}, u[6], m[6], y[4];
        g[tap] = 1;
        FilterTransform<double>::apply(g, u);
        for (int i = 0; i < 6; ++i) m[i] = u[i] * v[i];
        OutputTransform<double>::apply(m, y);
        for (int i = 0; i < 4; ++i) worst = std::max(worst, std::abs(y[i] - (i + tap == input)));
      }
      for (int output = 0; output < 4; ++output) {
        double dy[4] = {}, z[6], m[6], dg[3];
        dy[output] = 1;
        GradientTransform<double>::apply(dy, z);
        for (int i = 0; i < 6; ++i) m[i] = z[i] * v[i];
        FilterGradientTransform<double>::apply(m, dg);
        for (int i = 0; i < 3; ++i)
          worst = std::max(worst, std::abs(dg[i] - (i + output == input)));
      }
    }
    CHECK(worst <= 1e-15);
  }

  TEST_CASE("transforms of both directions are those of each") {
    using namespace cpu::winograd;
    double x[6][6], got[4][4], want[4][4];
    Draw draw(54);
    for (auto& row : x)
      for (double& value : row) value = draw.between(-1, 1);
    in_both_directions<OutputTransform<double>, double, 6, 4>(
        [&](int i, int j) { return x[i][j]; },
        [&](int i, int j, double value) { got[i][j] = value; });
    // Rows first here: y = Aᵀ (x A) = (Aᵀ x) A.
    double half[6][4];
    for (int i = 0; i < 6; ++i) OutputTransform<double>::apply(x[i], half[i]);
    double worst = 0;
    for (int j = 0; j < 4; ++j) {
      double column[6], to[4];
      for (int i = 0; i < 6; ++i) column[i] = half[i][j];
      OutputTransform<double>::apply(column, to);
      for (int i = 0; i < 4; ++i) {
        want[i][j] = to[i];
        worst = std::max(worst, std::abs(got[i][j] - want[i][j]));
      }
    }
    CHECK(worst <= 1e-14);
  }

  TEST_CASE_TEMPLATE("winograd convolutions of planes of all sizes", T, float, double) {
    const std::int64_t planes[][2] = {{1, 1}, {2, 3}, {3, 3},  {4, 4},   {5, 4},
                                      {4, 7}, {8, 8}, {9, 13}, {12, 11}, {16, 16}};
    for (const auto& [H, W] : planes)
      for (const std::int64_t padding : {0, 1, 2})
        if (H + 2 * padding >= 3 && W + 2 * padding >= 3)
          check_passes<T>(shape_of(2, H, W, 5, 6, padding));
    check_passes<T>(shape_of(1, 7, 9, 3, 4, {0, 2}));
    check_passes<T>(shape_of(1, 9, 7, 3, 4, {2, 0}));
  }

  TEST_CASE_TEMPLATE("dilated winograd convolutions", T, float, double) {
    check_passes<T>(shape_of(2, 28, 28, 5, 6, 8, 8));
    check_passes<T>(shape_of(2, 9, 11, 3, 17, 2, 2));
    check_passes<T>(shape_of(1, 16, 16, 4, 4, 0, 3));
    check_passes<T>(shape_of(2, 13, 7, 6, 5, {1, 3}, {2, 1}));
    check_passes<T>(shape_of(2, 7, 14, 6, 5, {0, 4}, {1, 5}));
    check_passes<T>(shape_of(1, 3, 3, 4, 4, 4, 4));  // grids without a pixel of their own
    check_passes<T>(shape_of(3, 12, 12, 180, 170, 4, 4));
  }

  TEST_CASE_TEMPLATE("winograd convolutions of all numbers of channels", T, float, double) {
    const std::int64_t channels[][2] = {{1, 1},   {3, 64},  {64, 1},  {1, 17},  {16, 16},
                                        {31, 33}, {17, 15}, {40, 72}, {65, 48}, {8, 130}};
    for (const auto& [C, K] : channels) check_passes<T>(shape_of(2, 8, 6, C, K, 1));
  }

  TEST_CASE_TEMPLATE("winograd convolutions of many filters and of many tiles", T, float, double) {
    check_passes<T>(shape_of(1, 4, 4, 192, 200, 1));
    check_passes<T>(shape_of(3, 8, 8, 170, 190, 1));
    check_passes<T>(shape_of(270, 1, 1, 175, 170, 1));  // more tiles than are made at once
    check_passes<T>(shape_of(9, 32, 32, 4, 8, 1));
  }

  TEST_CASE("an empty batch") {
    const Problem<float> problem(shape_of(0, 8, 8, 3, 4, 1));
    const Results<float> got(problem);
    for (std::int64_t i = 0; i < got.dw.shape().count(); ++i) CHECK(got.dw[i] == 0);
    CHECK(got.y.guards_intact());
    CHECK(got.dx.guards_intact());
  }

  TEST_CASE_TEMPLATE("what follows a winograd convolution is done in its last step", T, float,
                     double) {
    const ConvShape s = shape_of(2, 7, 10, 6, 37, 1);
    const Problem<T> problem(s);
    const auto exact = problem.template exact<double>();
    const auto scale = Array<T>::uniform(Dims{s.K}, Layout::dense, 55, -2, 2);
    const auto bias = Array<T>::uniform(Dims{s.K}, Layout::dense, 56, -2, 2);
    const auto residual = Array<T>::uniform(y_dims(s), Layout::dense, 57, -2, 2);
    const ConstView scale_view = scale, bias_view = bias, residual_view = residual;
    under_all_settings([&] {
      for (int options = 0; options < 16; ++options) {
        CAPTURE(options);
        const bool scaled = (options & 1) != 0, biased = (options & 2) != 0;
        const bool added = (options & 4) != 0, relu = (options & 8) != 0;
        Array<T> y(y_dims(s));
        cpu::winograd_forward<T>(s, &y[0], &problem.x[0], &problem.w[0],
                                 {.scale = scaled ? &scale_view : nullptr,
                                  .bias = biased ? &bias_view : nullptr,
                                  .residual = added ? &residual_view : nullptr,
                                  .relu = relu});
        auto want = exact.y;
        for (std::size_t i = 0; i < want.size(); ++i) {
          const auto at = static_cast<std::int64_t>(i);
          if (scaled) want[i] *= scale[at % s.K];
          if (biased) want[i] += bias[at % s.K];
          if (added) want[i] += residual[at];
          if (relu) want[i] = std::max(want[i], 0.0);
        }
        CHECK(errors_of(y, want).most <= tolerance<T>);
        CHECK(y.guards_intact());
      }
    });
  }

  // Inputs after a ReLU, as in networks. With fewer channels a direct sum is shorter and more
  // exact, while the transforms' errors stay: at 16 the ratio is above 3.
  TEST_CASE("winograd convolutions in float are nearly as exact as direct ones") {
    for (const std::int64_t C : {64, 512}) {
      CAPTURE(C);
      Problem<float> problem(shape_of(16, 8, 8, C, 16, 1));
      for (std::int64_t i = 0; i < problem.x.shape().count(); ++i)
        problem.x[i] = std::max(problem.x[i], 0.0f);
      const auto exact = problem.exact<double>();
      const auto direct = problem.exact<float>();
      under_all_settings([&] {
        const Results<float> got(problem);
        const auto compare = [](const auto& winograd, const auto& plain, const auto& want) {
          const Errors error = errors_of(winograd, want);
          CHECK(error.rms <= 3 * errors_of(plain, want).rms);
          CHECK(error.most <= 3e-5);
        };
        compare(got.y, direct.y, exact.y);
        compare(got.dx, direct.dx, exact.dx);
        compare(got.dw, direct.dw, exact.dw);
      });
    }
  }

  TEST_CASE("winograd convolutions have the same bits at every run") {
    for (const std::int64_t C : {24, 200}) {
      const Problem<float> problem(shape_of(12, 8, 8, C, C, 1));
      under_all_settings([&] {
        const Results<float> first(problem);
        for (int run = 0; run < 3; ++run) {
          const Results<float> again(problem);
          const auto same = [](const Array<float>& a, const Array<float>& b) {
            return std::memcmp(&a[0], &b[0],
                               static_cast<std::size_t>(a.shape().count()) * sizeof(float)) == 0;
          };
          CHECK(same(first.y, again.y));
          CHECK(same(first.dx, again.dx));
          CHECK(same(first.dw, again.dw));
        }
      });
    }
  }

  TEST_CASE("winograd applies to 3 x 3 filters of stride 1 and of any dilation") {
    ConvShape s = shape_of(1, 8, 8, 3, 3, 1);
    CHECK(cpu::winograd_applies(s));
    ConvShape other = s;
    other.S = 1;
    CHECK_FALSE(cpu::winograd_applies(other));
    other = s;
    other.conv.stride = {1, 2};
    CHECK_FALSE(cpu::winograd_applies(other));
    other = s;
    other.conv.dilation = {2, 1};
    CHECK(cpu::winograd_applies(other));
    CHECK(cpu::winograd_tiles(s) == 4);
    CHECK(cpu::winograd_tiles(other) == 4);
  }
}
