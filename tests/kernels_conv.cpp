// Every convolution algorithm against the definition in double: all passes, all shapes, every
// instruction set, one thread and three.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "tests/conv_reference.h"
#include "tests/kernels_arrays.h"

namespace understudy::testing {
namespace {

template <class T>
void check_problem(ConvProblem s, ConvAlgorithm algorithm) {
  s.conv.algorithm = algorithm;
  INFO(s.name() << ", " << to_string(algorithm));
  const auto x = Array<T>::uniform(s.x(), Layout::dense, 1, -1, 1);
  const auto w = Array<T>::uniform(s.w(), Layout::dense, 2, -1, 1);
  const auto dy = Array<T>::uniform(s.y(), Layout::dense, 3, -1, 1);
  const ConvReference want = conv_reference(s, values_of(x), values_of(w), values_of(dy));
  // PERFORMANCE's bound in float; the same number of roundings in double.
  const double bound = 3e-5 * rounding<T> / rounding<float>;
  under_all_settings([&] {
    Array<T> y(s.y()), dx(s.x()), dw(s.w());
    cpu_backend().conv2d(y, x, w, s.conv, {});
    CHECK(distance(y, want.y) <= bound);
    CHECK(y.guards_intact());
    if (algorithm == ConvAlgorithm::few_pixels) return;  // has no gradients
    cpu_backend().conv2d_input_gradient(dx, dy, w, s.conv);
    CHECK(distance(dx, want.dx) <= bound);
    CHECK(dx.guards_intact());
    cpu_backend().conv2d_weight_gradient(dw, dy, x, s.conv);
    CHECK(distance(dw, want.dw) <= bound);
    CHECK(dw.guards_intact());
  });
}

void check_all(ConvAlgorithm algorithm, bool (ConvProblem::*applies)() const) {
  for (const ConvProblem& s : conv_problems()) {
    if (applies != nullptr && !(s.*applies)()) continue;
    check_problem<float>(s, algorithm);
    check_problem<double>(s, algorithm);
  }
}

// What comes after the sum, in the order that the contract states.
template <class T>
void check_epilogue(const ConvProblem& s, unsigned parts) {
  INFO(s.name() << ", epilogue " << parts);
  const auto x = Array<T>::uniform(s.x(), Layout::dense, 1, -1, 1);
  const auto w = Array<T>::uniform(s.w(), Layout::dense, 2, -1, 1);
  const auto scale = Array<T>::uniform({s.K}, Layout::dense, 4, -2, 2);
  const auto bias = Array<T>::uniform({s.K}, Layout::dense, 5, -1, 1);
  const auto residual = Array<T>::uniform(s.y(), Layout::dense, 6, -1, 1);
  const ConstView scale_view = scale, bias_view = bias, residual_view = residual;
  const ConvEpilogue epilogue{.scale = parts & 1 ? &scale_view : nullptr,
                              .bias = parts & 2 ? &bias_view : nullptr,
                              .residual = parts & 4 ? &residual_view : nullptr,
                              .relu = (parts & 8) != 0};
  std::vector<double> want = conv_reference(s, values_of(x), values_of(w), values_of(residual)).y;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i), k = at % s.K;
    if (parts & 1) want[i] *= static_cast<double>(scale[k]);
    if (parts & 2) want[i] += static_cast<double>(bias[k]);
    if (parts & 4) want[i] += static_cast<double>(residual[at]);
    if (parts & 8 && want[i] < 0) want[i] = 0;
  }
  under_all_settings([&] {
    Array<T> y(s.y());
    cpu_backend().conv2d(y, x, w, s.conv, epilogue);
    CHECK(distance(y, want) <= 3e-5 * rounding<T> / rounding<float>);
    CHECK(y.guards_intact());
  });
}

TEST_SUITE("kernels") {
  TEST_CASE("the implicit convolution is the definition for every shape") {
    check_all(ConvAlgorithm::implicit, nullptr);
  }
  TEST_CASE("the convolution chosen by shape is the definition") {
    check_all(ConvAlgorithm::automatic, nullptr);
  }
  TEST_CASE("the convolution of few pixels is the definition for every shape") {
    check_all(ConvAlgorithm::few_pixels, nullptr);
  }
  TEST_CASE("Winograd's convolution is the definition") {
    check_all(ConvAlgorithm::winograd, &ConvProblem::winograd);
  }
  TEST_CASE("a 1x1 convolution as a product is the definition") {
    check_all(ConvAlgorithm::product, &ConvProblem::product);
  }

  TEST_CASE("a convolution scales, shifts, adds and cuts off in this order") {
    for (const ConvAlgorithm algorithm :
         {ConvAlgorithm::implicit, ConvAlgorithm::winograd, ConvAlgorithm::few_pixels})
      for (unsigned parts = 0; parts < 16; ++parts) {
        check_epilogue<float>({2, 5, 6, 7, 21, 3, 3, {.padding = 1, .algorithm = algorithm}},
                              parts);
        check_epilogue<double>({2, 4, 6, 3, 18, 1, 1, {.algorithm = ConvAlgorithm::automatic}},
                               parts);
      }
  }

  TEST_CASE("a NaN in an image reaches the results of its windows only, through the ReLU") {
    const ConvProblem s{1, 8, 8, 3, 5, 3, 3, {.padding = 1, .algorithm = ConvAlgorithm::implicit}};
    auto x = Array<float>::uniform(s.x(), Layout::dense, 1, -1, 1);
    x.at({0, 4, 4, 1}) = std::numeric_limits<float>::quiet_NaN();
    const auto w = Array<float>::uniform(s.w(), Layout::dense, 2, -1, 1);
    under_all_settings([&] {
      Array<float> y(s.y());
      cpu_backend().conv2d(y, x, w, s.conv, {.relu = true});
      std::int64_t wrong = 0;
      for_each_index(s.y(), [&](const Dims& at) {
        const bool near = std::abs(at[1] - 4) <= 1 && std::abs(at[2] - 4) <= 1;
        wrong += std::isnan(y.at(at)) != near;
      });
      CHECK(wrong == 0);
    });
  }

  TEST_CASE("an algorithm that does not apply is refused by name") {
    const ConvProblem s{1, 4, 4, 2, 2, 3, 3, {.stride = 2, .padding = 1}};
    Array<float> x(s.x()), w(s.w()), y(s.y());
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::winograd, ConvAlgorithm::product}) {
      Conv2d conv = s.conv;
      conv.algorithm = algorithm;
      CHECK_THROWS_WITH_AS(cpu_backend().conv2d(y, x, w, conv, {}),
                           doctest::Contains(to_string(algorithm)), Error);
    }
  }
}

}  // namespace
}  // namespace understudy::testing
