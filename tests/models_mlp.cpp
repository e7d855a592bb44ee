// Mlp and Logistic against stored logits and gradients of PyTorch (tests/reference/mlp.py).
#include "models/mlp.h"

#include <doctest/doctest.h>

#include <cmath>
#include <span>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "tests/reference/mlp.h"

using namespace understudy;

namespace {

// values() of tests/reference/mlp.py: dyadic fractions in [-scale, scale), exact in float.
template <class T>
Tensor values(const Shape& shape, int salt, double scale) {
  std::vector<T> v(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const int step = static_cast<int>((37 * i + 11 * salt + i / 64) % 64) - 32;
    v[i] = static_cast<T>(step / 32.0 * scale);
  }
  return Tensor::from(v, shape);
}

template <class T>
void set_weights(Mlp& model, double scale) {
  NoGradGuard no_grad;
  model.to(dtype_of<T>);
  int salt = 1;
  for (auto& [name, tensor] : model.named_parameters())
    tensor.copy_(values<T>(tensor.shape(), salt++, scale));
}

template <class T>
double error(const Tensor& found, std::span<const double> expected) {
  const auto v = found.to_vector<T>();
  REQUIRE(v.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double e = std::abs(double(v[i]) - expected[i]) / std::max(1.0, std::abs(expected[i]));
    if (!(e <= worst)) worst = e;
  }
  return worst;
}

}  // namespace

TEST_SUITE("models") {
  TEST_CASE_TEMPLATE("an MLP has PyTorch's logits, loss and gradients", T, float, double) {
    const double tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-14;
    Generator g(1);
    Mlp model({12, 7, 5, 3}, g);
    set_weights<T>(model, 0.5);
    const Tensor x = values<T>({4, 12}, 0, 1);
    const Tensor logits = model(x);
    CHECK(error<T>(logits, reference::small_logits) <= tolerance);
    const Tensor label = Tensor::from(std::vector<std::int64_t>{2, 0, 1, 2}, {4});
    const Tensor loss = cross_entropy(logits, label);
    CHECK(std::abs(loss.item() - reference::small_loss) <= tolerance);
    loss.backward();
    const std::vector<std::pair<const char*, std::span<const double>>> gradients = {
        {"0.weight", reference::small_gradient_0_weight},
        {"0.bias", reference::small_gradient_0_bias},
        {"2.weight", reference::small_gradient_2_weight},
        {"2.bias", reference::small_gradient_2_bias},
        {"4.weight", reference::small_gradient_4_weight},
        {"4.bias", reference::small_gradient_4_bias}};
    const auto parameters = model.named_parameters();
    REQUIRE(parameters.size() == gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      CAPTURE(parameters[i].name);
      CHECK(parameters[i].name == gradients[i].first);
      CHECK(error<T>(parameters[i].tensor.grad(), gradients[i].second) <= tolerance);
    }
  }

  TEST_CASE_TEMPLATE("Base-MLP has PyTorch's logits", T, float, double) {
    Generator g(1);
    Mlp model(base_mlp_widths, g);
    CHECK(model.parameter_count() == 784 * 200 + 200 + 200 * 100 + 100 + 100 * 10 + 10);
    set_weights<T>(model, 0.125);
    const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-13;
    // As images: grey ones flatten to the same order in NHWC and in PyTorch's NCHW.
    const Tensor images = values<T>({4, 28, 28, 1}, 0, 1);
    CHECK(error<T>(model(images), reference::base_logits) <= tolerance);
  }

  TEST_CASE("an MLP learns, and the same seed learns the same bits") {
    // Whether a point of the plane lies inside a ring: not linearly separable.
    std::vector<float> points;
    std::vector<std::int64_t> inside;
    Generator draw(11, Stream::test);
    for (int i = 0; i < 256; ++i) {
      const double a = 4 * draw.uniform() - 2, b = 4 * draw.uniform() - 2;
      points.push_back(static_cast<float>(a));
      points.push_back(static_cast<float>(b));
      inside.push_back(a * a + b * b < 2);
    }
    const Tensor x = Tensor::from(points, {256, 2});
    const Tensor label = Tensor::from(inside, {256});
    const auto train = [&](std::uint64_t seed) {
      Generator g(seed);
      Mlp model({2, 24, 24, 2}, g);
      const auto optimizer = make_adam(model.named_parameters(), {.lr = 0.02});
      std::vector<double> losses;
      for (int step = 0; step < 150; ++step) {
        optimizer->clear_gradients();
        const Tensor loss = cross_entropy(model(x), label);
        loss.backward();
        clip_gradient_norm(model.named_parameters(), 5);
        optimizer->step();
        losses.push_back(loss.item());
      }
      return losses;
    };
    const auto losses = train(1);
    CHECK(losses.front() >= 0.4);
    CHECK(losses.back() <= 0.1);
    CHECK(train(1) == losses);
    CHECK(train(2) != losses);
  }

  TEST_CASE("an MLP says what it is and refuses what does not fit") {
    Generator g(1);
    Mlp model({12, 7, 3}, g);
    CHECK(model.describe() == "mlp 12-7-3");
    CHECK(model.classes() == 3);
    CHECK(model.layers.size() == 2);
    CHECK(model.layers[0].activation == Activation::relu);
    CHECK(model.layers[1].activation == Activation::none);
    CHECK(model(Tensor::zeros({0, 2, 2, 3})).shape() == Shape{0, 3});
    CHECK_THROWS_WITH_AS(model(Tensor::zeros({5, 2, 2, 2})),
                         "[mlp] input (5,2,2,2): 8 values an item, 12 expected", Error);
    CHECK_THROWS_WITH_AS(Mlp({12}, g),
                         "[mlp] widths (12): at least the inputs and the classes are needed",
                         UsageError);
    CHECK_THROWS_WITH_AS(Mlp({12, 0, 3}, g), "[mlp] widths 12-0-3: each must be at least 1",
                         UsageError);
  }

  TEST_CASE("logistic regression is one affine map") {
    Generator g(2);
    Logistic model(4, 3, g);
    CHECK(model.describe() == "logistic 4-3");
    CHECK(model.classes() == 3);
    const auto parameters = model.named_parameters();
    REQUIRE(parameters.size() == 2);
    CHECK(parameters[0].name == "weight");
    CHECK(parameters[1].name == "bias");
    const Tensor x = values<float>({5, 2, 2, 1}, 0, 1);
    const Tensor expected = linear(reshape(x, {5, 4}), model.layer.weight, model.layer.bias);
    CHECK(model(x).to_vector<float>() == expected.to_vector<float>());
    CHECK_THROWS_WITH_AS(model(Tensor::zeros({5, 3})),
                         "[logistic] input (5,3): 3 values an item, 4 expected", Error);
    CHECK_THROWS_AS(Logistic(0, 3, g), UsageError);
  }
}
