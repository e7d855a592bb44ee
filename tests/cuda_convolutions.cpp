// Convolutions on a GPU against the definition in double: our own kernels for every shape, and
// whatever is chosen, in each precision.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels/check.h"
#include "tests/conv_reference.h"
#include "tests/cuda_arrays.h"

namespace understudy::testing {
namespace {

// No file in the user's cache of what was fastest in a test. Before the first backend is made.
const bool memory_only = setenv("UNDERSTUDY_CACHE", "", 1) == 0;

// What rounding factors (a GPU may cut off tf32's bits instead) and, in bf16, results costs besides.
template <class T>
double bound(Precision precision) {
  const double sum = 3e-5 * rounding<T> / rounding<float>;
  if (sizeof(T) == sizeof(double)) return sum;
  return precision == Precision::fp32 ? sum : precision == Precision::tf32 ? 6e-3 : 4e-2;
}

template <class T>
void check_problem(ConvProblem s, ConvAlgorithm algorithm, Precision precision) {
  s.conv.algorithm = algorithm;
  INFO(s.name() << ", " << to_string(algorithm) << ", " << to_string(precision) << ", " << sizeof(T)
                << " bytes");
  const auto x = OnGpu<T>::uniform(s.x(), Layout::dense, 1, -1, 1);
  const auto w = OnGpu<T>::uniform(s.w(), Layout::dense, 2, -1, 1);
  const auto dy = OnGpu<T>::uniform(s.y(), Layout::dense, 3, -1, 1);
  const ConvReference want =
      conv_reference(s, values_of(x.before()), values_of(w.before()), values_of(dy.before()));
  const double most = bound<T>(precision);
  OnGpu<T> y(s.y()), dx(s.x()), dw(s.w());
  const auto check_result = [&](const OnGpu<T>& result, const std::vector<double>& wanted) {
    const Array<T> got = result.now();
    CHECK(distance(got, wanted) <= most);
    CHECK(got.guards_intact());
  };
  gpu_backend().conv2d(y, x, w, s.conv, {});
  check_result(y, want.y);
  gpu_backend().conv2d_input_gradient(dx, dy, w, s.conv);
  check_result(dx, want.dx);
  gpu_backend().conv2d_weight_gradient(dw, dy, x, s.conv);
  check_result(dw, want.dw);
}

void check_all(ConvAlgorithm algorithm, Precision precision = Precision::fp32) {
  const WithNumerics numerics({.precision = precision});
  for (const ConvProblem& s : conv_problems()) {
    check_problem<float>(s, algorithm, precision);
    check_problem<double>(s, algorithm, precision);
  }
}

// What comes after the sum, in the order that the contract states.
template <class T>
void check_epilogue(const ConvProblem& s, unsigned parts, Precision precision) {
  INFO(s.name() << ", epilogue " << parts << ", " << to_string(precision));
  const auto x = OnGpu<T>::uniform(s.x(), Layout::dense, 1, -1, 1);
  const auto w = OnGpu<T>::uniform(s.w(), Layout::dense, 2, -1, 1);
  const auto scale = OnGpu<T>::uniform({s.K}, Layout::dense, 4, -2, 2);
  const auto bias = OnGpu<T>::uniform({s.K}, Layout::dense, 5, -1, 1);
  const auto residual = OnGpu<T>::uniform(s.y(), Layout::dense, 6, -1, 1);
  const ConstView scale_view = scale, bias_view = bias, residual_view = residual;
  ConvEpilogue epilogue{.scale = parts & 1 ? &scale_view : nullptr,
                        .bias = parts & 2 ? &bias_view : nullptr,
                        .residual = parts & 4 ? &residual_view : nullptr,
                        .relu = (parts & 8) != 0};
  std::vector<double> want =
      conv_reference(s, values_of(x.before()), values_of(w.before()), values_of(residual.before()))
          .y;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i), k = at % s.K;
    if (parts & 1) want[i] *= double{scale.before()[k]};
    if (parts & 2) want[i] += double{bias.before()[k]};
    if (parts & 4) want[i] += double{residual.before()[at]};
    if (parts & 8 && want[i] < 0) want[i] = 0;
  }
  OnGpu<T> y(s.y());
  gpu_backend().conv2d(y, x, w, s.conv, epilogue);
  const Array<T> got = y.now();
  CHECK(distance(got, want) <= 2 * bound<T>(precision));
  CHECK(got.guards_intact());
  if ((parts & 4) == 0) return;
  // The residual in the place of the result.
  OnGpu<T> both(residual.before());
  const ConstView both_view = std::as_const(both);
  epilogue.residual = &both_view;
  gpu_backend().conv2d(both, x, w, s.conv, epilogue);
  CHECK(distance(both.now(), want) <= 2 * bound<T>(precision));
}

// Σ over samples and gradients of the square of one sample's weight gradient.
template <class T>
void check_squares(const ConvProblem& s, std::size_t gradients) {
  INFO(s.name() << ", " << gradients << " gradients a sample, " << sizeof(T) << " bytes");
  const auto x = OnGpu<T>::uniform(s.x(), Layout::dense, 1, -1, 1);
  std::vector<OnGpu<T>> dy;
  std::vector<std::vector<double>> dy_values;
  for (std::size_t d = 0; d < gradients; ++d) {
    dy.push_back(OnGpu<T>::uniform(s.y(), Layout::dense, 3 + d, -1, 1));
    dy_values.push_back(values_of(dy.back().before()));
  }
  const std::vector<double> want = squared_weight_gradients(s, dy_values, values_of(x.before()));
  double largest = 1;
  for (const double v : want) largest = std::max(largest, v);
  const std::vector<ConstView> views(dy.begin(), dy.end());
  OnGpu<T> sums(s.w());
  gpu_backend().conv2d_squared_weight_gradients(sums, views, x, s.conv);
  const Array<T> got = sums.now();
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = std::abs(double{got[static_cast<std::int64_t>(i)]} - want[i]);
    worst = error <= worst ? worst : error;
  }
  CHECK(worst <= 30 * rounding<T> * largest);
  CHECK(got.guards_intact());
}

TEST_SUITE("cuda") {
  TEST_CASE("cuda: our own convolution is the definition for every shape") {
    if (skipped()) return;
    CHECK(memory_only);
    check_all(ConvAlgorithm::implicit);
  }
  TEST_CASE("cuda: the convolution that is chosen is the definition") {
    if (skipped()) return;
    check_all(ConvAlgorithm::automatic);
  }
  TEST_CASE("cuda: convolutions in tf32 and bf16 are near the definition") {
    if (skipped()) return;
    check_all(ConvAlgorithm::automatic, Precision::tf32);
    check_all(ConvAlgorithm::automatic, Precision::bf16);
  }

  // Tiles of 128 by 128, several of them and not whole ones; sums shared by many blocks.
  TEST_CASE("cuda: our own convolution is the definition for large shapes") {
    if (skipped()) return;
    check_problem<float>({65, 23, 22, 4, 68, 1, 1, {.algorithm = ConvAlgorithm::implicit}},
                         ConvAlgorithm::implicit, Precision::fp32);
    check_problem<float>({2, 128, 130, 8, 132, 1, 1, {}}, ConvAlgorithm::implicit, Precision::fp32);
    check_problem<float>({3, 20, 21, 36, 72, 3, 3, {.stride = 2, .padding = 1}},
                         ConvAlgorithm::implicit, Precision::fp32);
    check_problem<double>({3, 20, 21, 36, 72, 3, 3, {.stride = 2, .padding = 1}},
                          ConvAlgorithm::implicit, Precision::fp32);
  }

  TEST_CASE("cuda: a convolution scales, shifts, adds and cuts off in this order") {
    if (skipped()) return;
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      for (unsigned parts = 0; parts < 16; ++parts) {
        for (const ConvAlgorithm algorithm : {ConvAlgorithm::implicit, ConvAlgorithm::automatic})
          check_epilogue<float>({2, 5, 6, 7, 21, 3, 3, {.padding = 1, .algorithm = algorithm}},
                                parts, precision);
        check_epilogue<float>({2, 4, 6, 4, 20, 3, 3, {.padding = 1}}, parts, precision);
        check_epilogue<float>({2, 4, 6, 3, 18, 1, 1, {}}, parts, precision);
        check_epilogue<double>({2, 4, 6, 3, 18, 1, 1, {}}, parts, precision);
        check_epilogue<double>({2, 4, 6, 3, 18, 3, 3, {}}, parts, precision);
      }
    }
  }

  TEST_CASE("cuda: a NaN in an image reaches the results of its windows, through the ReLU") {
    if (skipped()) return;
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      for (const ConvAlgorithm algorithm : {ConvAlgorithm::implicit, ConvAlgorithm::automatic}) {
        const ConvProblem s{1, 8, 8, 3, 5, 3, 3, {.padding = 1, .algorithm = algorithm}};
        auto image = Array<float>::uniform(s.x(), Layout::dense, 1, -1, 1);
        image.at({0, 4, 4, 1}) = NAN;
        const OnGpu<float> x(image);
        const auto w = OnGpu<float>::uniform(s.w(), Layout::dense, 2, -1, 1);
        const auto bias = OnGpu<float>::uniform({s.K}, Layout::dense, 3, -1, 1);
        const ConstView shift = bias;
        for (const bool with_bias : {false, true}) {
          OnGpu<float> y(s.y());
          gpu_backend().conv2d(y, x, w, s.conv,
                               {.bias = with_bias ? &shift : nullptr, .relu = true});
          const Array<float> got = y.now();
          std::int64_t missing = 0, beyond = 0;
          for_each_index(s.y(), [&](const Dims& at) {
            const bool near = std::abs(at[1] - 4) <= 1 && std::abs(at[2] - 4) <= 1;
            missing += near && !std::isnan(got.at(at));
            beyond += !near && std::isnan(got.at(at));
          });
          CHECK(missing == 0);
          CHECK((beyond == 0 || algorithm == ConvAlgorithm::automatic));  // the library's tiles
        }
      }
    }
  }

  TEST_CASE("cuda: algorithms of the CPU alone are refused by name") {
    if (skipped()) return;
    const ConvProblem s{1, 4, 4, 2, 2, 3, 3, {.padding = 1}};
    OnGpu<float> x(s.x()), w(s.w()), y(s.y());
    const std::vector<ConstView> views = {std::as_const(y)};
    for (const ConvAlgorithm algorithm :
         {ConvAlgorithm::winograd, ConvAlgorithm::few_pixels, ConvAlgorithm::product}) {
      Conv2d conv = s.conv;
      conv.algorithm = algorithm;
      const auto named = doctest::Contains(to_string(algorithm));
      CHECK_THROWS_WITH_AS(gpu_backend().conv2d(y, x, w, conv, {}), named, Error);
      CHECK_THROWS_WITH_AS(gpu_backend().conv2d_input_gradient(x, y, w, conv), named, Error);
      CHECK_THROWS_WITH_AS(gpu_backend().conv2d_weight_gradient(w, y, x, conv), named, Error);
      CHECK_THROWS_WITH_AS(gpu_backend().conv2d_squared_weight_gradients(w, views, x, conv), named,
                           Error);
    }
  }

  TEST_CASE("cuda: squared weight gradients are the definition for every shape") {
    if (skipped()) return;
    for (const ConvProblem& s : conv_problems()) {
      check_squares<float>(s, 1);
      check_squares<double>(s, 2);
    }
    check_squares<float>({3, 8, 8, 8, 70, 3, 3, {.padding = 1}}, 3);
    check_squares<float>({2, 3, 3, 2, 3, 2, 2, {}}, 70);  // more than a kernel takes
    check_squares<double>({40, 4, 4, 3, 5, 1, 1, {}}, 10);
  }

  TEST_CASE("cuda: a convolution has the same bits at every run, recorded or not") {
    if (skipped()) return;
    const ConvProblem s{3, 9, 9, 8, 12, 3, 3, {.padding = 1}};
    const auto x = OnGpu<float>::uniform(s.x(), Layout::dense, 1, -1, 1);
    const auto w = OnGpu<float>::uniform(s.w(), Layout::dense, 2, -1, 1);
    const auto dy = OnGpu<float>::uniform(s.y(), Layout::dense, 3, -1, 1);
    const auto bias = OnGpu<float>::uniform({s.K}, Layout::dense, 4, -1, 1);
    const ConstView shift = bias;
    struct Results {
      OnGpu<float> y, dx, dw, squares;
    };
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      const auto compute = [&](Results& r, const Conv2d& conv) {
        gpu_backend().conv2d(r.y, x, w, conv, {.bias = &shift, .relu = true});
        gpu_backend().conv2d_input_gradient(r.dx, dy, w, conv);
        gpu_backend().conv2d_weight_gradient(r.dw, dy, x, conv);
        const std::vector<ConstView> views = {dy};
        gpu_backend().conv2d_squared_weight_gradients(r.squares, views, x, conv);
      };
      const auto fresh = [&] {
        return Results{OnGpu<float>(s.y()), OnGpu<float>(s.x()), OnGpu<float>(s.w()),
                       OnGpu<float>(s.w())};
      };
      const auto same = [](const Results& a, const Results& b) {
        return same_bits(a.y.now(), b.y.now()) && same_bits(a.dx.now(), b.dx.now()) &&
               same_bits(a.dw.now(), b.dw.now()) && same_bits(a.squares.now(), b.squares.now());
      };
      for (const ConvAlgorithm algorithm : {ConvAlgorithm::implicit, ConvAlgorithm::automatic}) {
        Conv2d conv = s.conv;
        conv.algorithm = algorithm;
        Results first = fresh(), again = fresh(), recorded = fresh();
        compute(first, conv);
        compute(again, conv);
        CHECK(same(first, again));
        gpu_backend().begin_recording();
        compute(recorded, conv);
        const auto work = gpu_backend().end_recording();
        work->run();
        work->run();
        CHECK(same(first, recorded));
      }
    }
  }
}

}  // namespace
}  // namespace understudy::testing
