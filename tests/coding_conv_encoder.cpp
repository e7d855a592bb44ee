// ConvEncoder against PyTorch's stored values (tests/reference/conv_encoder.py), its cost, and the
// learned code that it is part of.
#include "coding/learned/conv_encoder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include "coding/cost.h"
#include "coding/learned/learned_code.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "tests/reference/conv_encoder.h"

using namespace understudy;

namespace {

Tensor random(const Shape& shape, std::uint64_t seed) {
  Generator generator(seed, Stream::test);
  Tensor x = Tensor::empty(shape);
  fill_uniform(x, generator, -1, 1);
  return x;
}

LearnedCode make_code(int k, const Shape& image) {
  Generator generator(1);
  return LearnedCode({.shape = {k, 1}, .encoder = "conv", .image = image}, generator);
}

std::vector<double> widened(const Tensor& x) { return x.to_vector<double>(); }

// values() of tests/reference/conv_encoder.py: dyadic fractions in [-scale, scale), exact in float.
template <class T>
Tensor values(const Shape& shape, int salt, double scale) {
  std::vector<T> v(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const int step = static_cast<int>((37 * i + 11 * salt + i / 64) % 64) - 32;
    v[i] = static_cast<T>(step / 32.0 * scale);
  }
  return Tensor::from(v, shape);
}

// Largest difference over the largest of the expected values.
double relative_error(const std::vector<double>& found, std::span<const double> expected) {
  REQUIRE(found.size() == expected.size());
  double worst = 0, most = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!(std::abs(found[i] - expected[i]) <= worst)) worst = std::abs(found[i] - expected[i]);
    most = std::max(most, std::abs(expected[i]));
  }
  return worst / most;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE_TEMPLATE("ConvEncoder has PyTorch's parities and gradients", T, float, double) {
    const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;
    Generator generator(3);
    ConvEncoder encoder({.k = 2, .r = 2}, generator);
    encoder.to(dtype_of<T>);
    int salt = 1;
    for (NamedTensor& named : encoder.named_parameters()) {
      const bool weight = named.tensor.rank() == 4;
      named.tensor.detach().copy_(values<T>(named.tensor.shape(), salt++, weight ? 0.125 : 0.25));
    }
    Tensor planes = values<T>({2, 2, 9, 11}, 0, 1);
    planes.set_requires_grad(true);
    const Tensor parity = encoder(planes);
    REQUIRE(parity.shape() == Shape{2, 2, 9, 11});
    CHECK(relative_error(widened(parity), reference::conv_encoder_output) <= tolerance);
    sum(parity * values<T>(parity.shape(), 99, 1)).backward();
    CHECK(relative_error(widened(planes.grad()), reference::conv_encoder_input_gradient) <=
          tolerance);
    std::vector<double> weights, biases;
    for (const Convolution& layer : encoder.layers) {
      const Tensor gradient = permute(layer.weight.grad(), {0, 3, 1, 2});
      for (const int weighting : {50, 51})
        weights.push_back(
            sum(cast(gradient, DType::f64) * values<double>(gradient.shape(), weighting, 1))
                .item());
      for (const double value : widened(layer.bias.grad())) biases.push_back(value);
    }
    CHECK(relative_error(weights, reference::conv_encoder_weight_gradients) <= tolerance);
    CHECK(relative_error(biases, reference::conv_encoder_bias_gradients) <= tolerance);
  }

  TEST_CASE("ConvEncoder has the published layers, start and cost") {
    Generator generator(3);
    ConvEncoder encoder({.k = 2, .r = 1}, generator);
    REQUIRE(encoder.layers.size() == 7);
    const std::int64_t dilations[] = {1, 1, 2, 4, 8, 1};
    for (std::size_t i = 0; i < 6; ++i) {
      const Convolution& layer = encoder.layers[i];
      CHECK(layer.out() == 40);
      CHECK(layer.kernel() == HeightWidth{3});
      CHECK(layer.conv.dilation == HeightWidth{dilations[i]});
      CHECK(layer.conv.padding == HeightWidth{dilations[i]});
      CHECK(layer.activation == Activation::relu);
    }
    CHECK(encoder.layers[6].kernel() == HeightWidth{1});
    CHECK(encoder.layers[6].activation == Activation::none);
    // Xavier-uniform with gain √2: the largest of 14,400 draws is close to the edge.
    const double edge = std::sqrt(2.0) * std::sqrt(6.0 / (9 * 40 + 9 * 40));
    double most = 0;
    for (const double w : widened(encoder.layers[1].weight)) most = std::max(most, std::abs(w));
    CHECK(most <= edge * (1 + 1e-6));
    CHECK(most >= edge * 0.99);
    CHECK(sum(abs(encoder.layers[1].bias.detach())).item() == 0);

    // In millions: 57 (k = 2, 28²), 356 (k = 5, 28²), 224 and 1,397 (32² in three colours).
    const auto cost = [](int k, const Shape& image) {
      return make_code(k, image).encode_multiply_adds(image);
    };
    CHECK(cost(2, {28, 28, 1}) == 784 * (9 * (2 * 40 + 5 * 40 * 40) + 40));
    CHECK(std::llround(1e-6 * double(cost(2, {28, 28, 1}))) == 57);
    CHECK(std::llround(1e-6 * double(cost(5, {28, 28, 1}))) == 356);
    CHECK(std::llround(1e-6 * double(cost(2, {32, 32, 3}))) == 224);
    CHECK(std::llround(1e-6 * double(cost(5, {32, 32, 3}))) == 1397);
    CHECK(multiply_adds(encoder, {2, 28, 28}) == cost(2, {28, 28, 1}));
    CHECK_THROWS_WITH_AS(encoder(random({5, 3, 4, 4}, 5)),
                         "[ConvEncoder] made for planes (M,2,H,W), got (5,3,4,4)", Error);
  }

  TEST_CASE("ConvEncoder encodes each colour by itself, and its code's file describes it") {
    const std::int64_t H = 4, W = 5, C = 3;
    LearnedCode code = make_code(2, {H, W, C});
    const Tensor groups = random({3, 2, H, W, C}, 16);
    NoGradGuard no_grad;
    const Tensor parities = code.encode(groups);
    REQUIRE(parities.shape() == Shape{3, 1, H, W, C});
    for (std::int64_t c = 0; c < C; ++c) {
      const Tensor planes = select(groups, 4, c);  // (3, k, H, W)
      const Tensor alone = code.encoder()(planes);
      CHECK(relative_error(widened(select(parities, 4, c)), widened(alone)) <= 1e-5);
    }
    const Safetensors content = code.to_safetensors();
    CHECK(content.at("encoder.conv1.weight").shape() == Shape{40, 2, 3, 3});  // PyTorch's order
    const auto again =
        read_learned_code(parse_safetensors(format_safetensors(content), "code"), "code");
    CHECK(again->options().encoder == "conv");
    CHECK(again->encode(groups).to_vector<float>() == parities.to_vector<float>());
    Safetensors wrong = content;
    wrong.metadata["understudy.k"] = "3";
    CHECK_THROWS_WITH_AS(read_learned_code(wrong, "code"),
                         doctest::Contains("code: \"encoder.conv1.weight\" is (40,2,3,3), but"),
                         Error);
    wrong = content;
    wrong.metadata["understudy.encoder"] = "mlp";
    CHECK_THROWS_WITH_AS(read_learned_code(wrong, "code"),
                         doctest::Contains("\"encoder.fc1.weight\" is not there"), Error);
  }
}
