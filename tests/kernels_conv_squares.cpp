// Sums of squares of single samples' weight gradients against the definition in double: all shapes,
// one gradient a sample and several, every instruction set, one thread and three.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "tests/conv_reference.h"
#include "tests/kernels_arrays.h"

namespace understudy::testing {
namespace {

template <class T>
void check_squares(ConvProblem s, std::size_t gradients,
                   ConvAlgorithm algorithm = ConvAlgorithm::implicit) {
  s.conv.algorithm = algorithm;
  INFO(s.name() << ", " << gradients << " gradients a sample, " << to_string(algorithm));
  const auto x = Array<T>::uniform(s.x(), Layout::dense, 1, -1, 1);
  std::vector<Array<T>> dy;
  std::vector<std::vector<double>> dy_values;
  for (std::size_t d = 0; d < gradients; ++d) {
    dy.push_back(Array<T>::uniform(s.y(), Layout::dense, 3 + d, -1, 1));
    dy_values.push_back(values_of(dy.back()));
  }
  const std::vector<ConstView> views(dy.begin(), dy.end());
  const std::vector<double> want = squared_weight_gradients(s, dy_values, values_of(x));
  double largest = 1;
  for (const double v : want) largest = std::max(largest, v);
  under_all_settings([&] {
    Array<T> sums(s.w());
    cpu_backend().conv2d_squared_weight_gradients(sums, views, x, s.conv);
    double worst = 0;
    bool negative = false;
    for (std::size_t i = 0; i < want.size(); ++i) {
      const auto got = static_cast<double>(sums[static_cast<std::int64_t>(i)]);
      const double error = std::abs(got - want[i]);
      worst = error <= worst ? worst : error;  // NaN stays
      negative = negative || got < 0;
    }
    CHECK(worst <= (algorithm == ConvAlgorithm::implicit ? 30 : 100) * rounding<T> * largest);
    CHECK(!negative);
    CHECK(sums.guards_intact());
  });
}

TEST_SUITE("kernels") {
  TEST_CASE("squared weight gradients are the definition for every shape") {
    for (const ConvProblem& s : conv_problems()) {
      check_squares<float>(s, 1);
      check_squares<double>(s, 1);
      check_squares<float>(s, 3);
      check_squares<double>(s, 3);
    }
  }

  TEST_CASE("squared weight gradients by Winograd are the definition") {
    for (const ConvProblem& s : conv_problems()) {
      if (!s.winograd()) continue;
      for (const std::size_t gradients : {1, 3}) {
        check_squares<float>(s, gradients, ConvAlgorithm::winograd);
        check_squares<double>(s, gradients, ConvAlgorithm::winograd);
      }
    }
  }
  TEST_CASE("squared weight gradients by the algorithm chosen by shape are the definition") {
    for (const ConvProblem& s : conv_problems())
      check_squares<float>(s, 2, ConvAlgorithm::automatic);
    check_squares<float>({3, 16, 16, 70, 40, 3, 3, {.padding = 1}}, 1, ConvAlgorithm::automatic);
    check_squares<float>({40, 16, 16, 20, 40, 3, 3, {.padding = 1}}, 2, ConvAlgorithm::automatic);
  }
  TEST_CASE("an algorithm that does not apply to squared weight gradients is refused by name") {
    const ConvProblem s{1, 4, 4, 2, 2, 3, 3, {.stride = 2, .padding = 1}};
    Array<float> x(s.x()), w(s.w()), y(s.y());
    const std::vector<ConstView> views = {y};
    for (const ConvAlgorithm algorithm :
         {ConvAlgorithm::winograd, ConvAlgorithm::product, ConvAlgorithm::few_pixels}) {
      Conv2d conv = s.conv;
      conv.algorithm = algorithm;
      CHECK_THROWS_WITH_AS(cpu_backend().conv2d_squared_weight_gradients(w, views, x, conv),
                           doctest::Contains(to_string(algorithm)), Error);
    }
  }

  // 4×4 pixels under 10 gradients are added up by pairs of pixels.
  TEST_CASE("squared weight gradients of few pixels are the definition") {
    for (const ConvProblem& s : {ConvProblem{3, 4, 4, 37, 19, 3, 3, {.padding = 1}},
                                 ConvProblem{2, 8, 8, 5, 70, 3, 3, {.stride = 2, .padding = 1}},
                                 ConvProblem{2, 1, 1, 40, 3, 3, 3, {.padding = 1}},
                                 ConvProblem{5, 2, 3, 1, 1, 1, 1, {}}}) {
      check_squares<float>(s, 10);
      check_squares<double>(s, 10);
    }
  }

  // More samples than are packed at once, and more sums than a thread keeps.
  TEST_CASE("squared weight gradients of many samples and channels are added up") {
    check_squares<float>({2, 3, 3, 65, 250, 3, 3, {.padding = 1}}, 2);
    check_squares<float>({70, 16, 16, 3, 130, 1, 1, {}}, 1);
    check_squares<double>({40, 4, 4, 3, 250, 1, 1, {}}, 10);
  }

  TEST_CASE("squared weight gradients have the same bits with any number of threads") {
    ConvProblem s{3, 7, 7, 21, 50, 3, 3, {.padding = 1}};
    const auto x = Array<float>::uniform(s.x(), Layout::dense, 1, -1, 1);
    const std::vector<Array<float>> dy = {Array<float>::uniform(s.y(), Layout::dense, 2, -1, 1)};
    const std::vector<ConstView> views(dy.begin(), dy.end());
    const int before = num_threads();
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::implicit, ConvAlgorithm::winograd}) {
      s.conv.algorithm = algorithm;
      Array<float> first(s.w());
      set_num_threads(1);
      cpu_backend().conv2d_squared_weight_gradients(first, views, x, s.conv);
      for (const int threads : {2, 3, 7}) {
        set_num_threads(threads);
        Array<float> sums(s.w());
        cpu_backend().conv2d_squared_weight_gradients(sums, views, x, s.conv);
        std::int64_t different = 0;
        for (std::int64_t i = 0; i < s.w().count(); ++i) different += !(sums[i] == first[i]);
        CHECK(different == 0);
      }
    }
    set_num_threads(before);
  }

  TEST_CASE("a NaN in a gradient reaches the squares") {
    const ConvProblem s{2, 4, 4, 3, 2, 1, 1, {}};
    const auto x = Array<float>::uniform(s.x(), Layout::dense, 1, 1, 2);
    for (const std::size_t gradients : {1, 10}) {
      std::vector<Array<float>> dy(gradients,
                                   Array<float>::uniform(s.y(), Layout::dense, 2, -1, 1));
      dy[0].at({1, 2, 3, 1}) = std::numeric_limits<float>::quiet_NaN();
      const std::vector<ConstView> views(dy.begin(), dy.end());
      under_all_settings([&] {
        Array<float> sums(s.w());
        cpu_backend().conv2d_squared_weight_gradients(sums, views, x, s.conv);
        for (std::int64_t c = 0; c < 3; ++c) {
          CHECK(!std::isnan(sums[c]));
          CHECK(std::isnan(sums[3 + c]));
        }
      });
    }
  }
}

}  // namespace
}  // namespace understudy::testing
