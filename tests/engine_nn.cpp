// Modules: paths, state dicts and their one error, freezing, modes, layers, initialisation.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "engine/autograd.h"
#include "engine/nn/convolution.h"
#include "engine/nn/init.h"
#include "engine/nn/linear.h"
#include "engine/nn/pytorch_state.h"
#include "engine/nn/sequential.h"
#include "engine/ops.h"
#include "kernels/check.h"

using namespace understudy;

namespace {

// A layer with a buffer, and a nest of two, to see paths through more than one level.
struct Scaled : Module {
  Tensor gain = Tensor::ones({3});
  Tensor seen = Tensor::zeros({}, DType::i64);
  Tensor forward(const Tensor& x) override { return x * gain; }
  void members(Members& m) override {
    m.parameter("gain", gain);
    m.buffer("seen", seen);
  }
};

struct Nest : Module {
  explicit Nest(Generator& g) : fc(2, 3, g), plain(3, 1, g, {.bias = false}) {}
  Linear fc;
  Scaled norm;
  Linear plain;
  Tensor forward(const Tensor& x) override { return plain(norm(fc(x))); }
  void members(Members& m) override {
    m.child("fc", fc);
    m.child("norm", norm);
    m.child("plain", plain);
  }
};

struct Clash : Module {
  Tensor a = Tensor::zeros({1}), b = Tensor::zeros({1});
  Tensor forward(const Tensor& x) override { return x; }
  void members(Members& m) override {
    m.parameter("w", a);
    m.parameter("w", b);
  }
};

std::vector<std::string> names_of(const std::vector<NamedTensor>& named) {
  std::vector<std::string> names;
  for (const NamedTensor& n : named) names.push_back(n.name);
  return names;
}

using Names = std::vector<std::string>;

std::pair<double, double> mean_and_std(const Tensor& x) {
  double mean = 0, square = 0;
  for (const float v : x.data<float>()) {
    mean += v;
    square += double(v) * v;
  }
  mean /= double(x.count());
  return {mean, std::sqrt(square / double(x.count()) - mean * mean)};
}

double largest(const Tensor& x) {
  double most = 0;
  for (const float v : x.data<float>()) most = std::max(most, std::abs(double(v)));
  return most;
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("members are listed by path, in order, without undefined ones") {
    Generator g(1, Stream::test);
    Nest nest(g);
    CHECK(names_of(nest.named_parameters()) ==
          Names{"fc.weight", "fc.bias", "norm.gain", "plain.weight"});
    CHECK(names_of(nest.named_buffers()) == Names{"norm.seen"});
    CHECK(names_of(nest.state_dict()) ==
          Names{"fc.weight", "fc.bias", "norm.gain", "norm.seen", "plain.weight"});
    CHECK(nest.parameters().size() == 4);
    CHECK(nest.parameter_count() == 6 + 3 + 3 + 3);
    Clash clash;
    CHECK_THROWS_WITH_AS(clash.named_parameters(), "[module] two members have the path \"w\"",
                         Error);
  }

  TEST_CASE("a state dict goes round, and a network equals the one it was loaded from") {
    Generator g(1, Stream::test);
    Nest one(g), two(g);
    const Tensor x = Tensor::from<float>(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
    const NoGradGuard no_grad;
    one.norm.seen.fill_(41);
    CHECK(one(x).to_vector<float>() != two(x).to_vector<float>());
    two.load_state_dict(one.state_dict());
    CHECK(one(x).to_vector<float>() == two(x).to_vector<float>());
    CHECK(two.norm.seen.item() == 41);
    // Copied, not shared: changing one leaves the other.
    one.fc.weight.fill_(0);
    CHECK(two.fc.weight.data<float>()[0] != 0);
    // Double values load into float parameters.
    Nest wide(g);
    wide.to(DType::f64);
    two.load_state_dict(wide.state_dict());
    CHECK(two.fc.bias.data<float>()[0] == float(wide.fc.bias.data<double>()[0]));
  }

  TEST_CASE("one error lists everything that does not fit, and nothing is loaded") {
    Generator g(1, Stream::test);
    Nest nest(g);
    const auto before = nest.fc.bias.to_vector<float>();
    std::vector<NamedTensor> state;
    state.push_back({"fc.weight", Tensor::zeros({2, 3})});
    state.push_back({"fc.bias", Tensor::zeros({3})});
    state.push_back({"fc.bias", Tensor::zeros({3})});
    state.push_back({"norm.seen", Tensor::zeros({})});
    state.push_back({"plain.weight", Tensor()});
    state.push_back({"plain.bias", Tensor::zeros({1})});
    CHECK_THROWS_WITH_AS(
        nest.load_state_dict(state),
        "[load_state_dict] the tensors do not fit the network; missing: norm.gain; unexpected: "
        "plain.bias; different: fc.weight is (2,3), expected (3,2), norm.seen is float32, expected "
        "int64, plain.weight is undefined; repeated: fc.bias",
        Error);
    CHECK(nest.fc.bias.to_vector<float>() == before);
    CHECK_THROWS_WITH_AS(nest.load_state_dict({}),
                         "[load_state_dict] the tensors do not fit the network; missing: "
                         "fc.weight, fc.bias, norm.gain, norm.seen, plain.weight",
                         Error);
  }

  TEST_CASE("a frozen module passes gradients through to its input") {
    Generator g(2, Stream::test);
    Linear layer(3, 2, g);
    CHECK(layer.weight.requires_grad());
    CHECK(layer.bias.requires_grad());
    layer.freeze();
    Tensor x = Tensor::ones({4, 3});
    x.set_requires_grad(true);
    sum(layer(x)).backward();
    CHECK(!layer.weight.grad().defined());
    CHECK(!layer.bias.grad().defined());
    REQUIRE(x.grad().defined());
    const auto w = layer.weight.data<float>();
    for (int j = 0; j < 3; ++j)
      CHECK(std::abs(x.grad().data<float>()[j] - (w[j] + w[3 + j])) <= 1e-6);
    layer.set_requires_grad(true);
    sum(layer(x)).backward();
    REQUIRE(layer.bias.grad().defined());
    CHECK(layer.bias.grad().data<float>()[0] == 4);
  }

  TEST_CASE("the mode reaches every child") {
    Generator g(2, Stream::test);
    Sequential outer;
    auto inner = std::make_unique<Sequential>(Linear(2, 2, g), ReLU());
    Module& leaf = (*inner)[0];
    outer.add(std::move(inner));
    CHECK(leaf.training());
    outer.eval();
    CHECK(!outer.training());
    CHECK(!outer[0].training());
    CHECK(!leaf.training());
    outer.train();
    CHECK(leaf.training());
  }

  TEST_CASE("an evaluation guard gives every module its own mode back") {
    Generator g(2, Stream::test);
    Sequential outer(Linear(2, 2, g), ReLU());
    outer[0].eval();
    {
      const EvaluationGuard guard(outer);
      CHECK(!outer.training());
      CHECK(!outer[1].training());
    }
    CHECK(outer.training());
    CHECK(!outer[0].training());
    CHECK(outer[1].training());
  }

  TEST_CASE("conversion keeps values, names and what is trained") {
    Generator g(3, Stream::test);
    Nest nest(g);
    nest.plain.freeze();
    const auto before = nest.fc.weight.to_vector<float>();
    nest.to(DType::f64);
    CHECK(nest.fc.weight.dtype() == DType::f64);
    CHECK(nest.norm.seen.dtype() == DType::i64);
    CHECK(nest.fc.weight.requires_grad());
    CHECK(nest.fc.weight.is_leaf());
    CHECK(!nest.plain.weight.requires_grad());
    for (std::size_t i = 0; i < before.size(); ++i)
      CHECK(nest.fc.weight.data<double>()[i] == double(before[i]));
    nest.to(Device{});
    CHECK(nest.fc.weight.requires_grad());
    CHECK_THROWS_AS(nest.to(DType::i64), Error);
  }

  TEST_CASE("Linear computes x times weight transposed plus bias, with ReLU fused on demand") {
    Generator g(4, Stream::test);
    Linear layer(2, 3, g);
    const NoGradGuard no_grad;
    layer.weight.copy_(Tensor::from<float>(std::vector<float>{1, 2, 3, 4, -5, -6}, {3, 2}));
    layer.bias.copy_(Tensor::from<float>(std::vector<float>{0.5, -0.5, 0}, {3}));
    const Tensor x = Tensor::from<float>(std::vector<float>{1, 1, 0, -1}, {2, 2});
    CHECK(layer(x).to_vector<float>() == std::vector<float>{3.5, 6.5, -11, -1.5, -4.5, 6});
    layer.activation = Activation::relu;
    CHECK(layer(x).to_vector<float>() == std::vector<float>{3.5, 6.5, 0, 0, 0, 6});
    CHECK(layer.in() == 2);
    CHECK(layer.out() == 3);
    Linear plain(2, 3, g, {.bias = false});
    CHECK(!plain.bias.defined());
    CHECK(names_of(plain.named_parameters()) == Names{"weight"});
    CHECK_THROWS_WITH_AS(Linear(0, 3, g),
                         "[Linear] 0 inputs and 3 outputs: both must be at least 1", Error);
  }

  TEST_CASE("Convolution computes with its stride, padding and dilation, and ReLU on demand") {
    Generator g(4, Stream::test);
    Convolution layer(2, 3, {3, 1}, g,
                      {.conv = {.stride = 2, .padding = {2, 0}, .dilation = {2, 1}},
                       .activation = Activation::relu});
    CHECK(layer.weight.shape() == Shape{3, 3, 1, 2});
    CHECK(layer.in() == 2);
    CHECK(layer.out() == 3);
    CHECK(layer.kernel() == HeightWidth{3, 1});
    CHECK(largest(layer.weight) <= 1 / std::sqrt(6.0));  // PyTorch's default: fan in 3·1·2
    CHECK(largest(layer.bias) <= 1 / std::sqrt(6.0));
    Tensor x = Tensor::empty({2, 5, 4, 2});
    fill_normal(x, g, 0, 1);
    const Tensor by_hand = relu(conv2d(x, layer.weight, layer.bias, layer.conv));
    CHECK(by_hand.shape() == Shape{2, 3, 2, 3});
    const auto expected = by_hand.to_vector<float>(), found = layer(x).to_vector<float>();
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(std::abs(found[i] - expected[i]) <= 1e-6);
    Convolution plain(2, 3, 1, g, {.bias = false});
    CHECK(names_of(plain.named_parameters()) == Names{"weight"});
    CHECK_THROWS_WITH_AS(Convolution(2, 0, 3, g),
                         "[Convolution] 2 channels to 0, windows of 3x3: all must be at least 1",
                         Error);
  }

  TEST_CASE("weights of convolutions leave and come in PyTorch's order of axes") {
    Generator g(4, Stream::test);
    Sequential net(Convolution(2, 3, {5, 4}, g), Flatten(), Linear(3, 2, g));
    const std::vector<NamedTensor> state = pytorch_state(net);
    REQUIRE(names_of(state) == Names{"0.weight", "0.bias", "2.weight", "2.bias"});
    CHECK(state[0].tensor.shape() == Shape{3, 2, 5, 4});
    const auto& layer = dynamic_cast<Convolution&>(net[0]);
    const auto inside = layer.weight.to_vector<float>();
    const auto outside = state[0].tensor.to_vector<float>();
    for (int k = 0; k < 3; ++k)
      for (int r = 0; r < 5; ++r)
        for (int s = 0; s < 4; ++s)
          for (int c = 0; c < 2; ++c)
            CHECK(inside[((k * 5 + r) * 4 + s) * 2 + c] == outside[((k * 2 + c) * 5 + r) * 4 + s]);
    CHECK(state[2].tensor.to_vector<float>() ==
          dynamic_cast<Linear&>(net[2]).weight.to_vector<float>());

    Sequential other(Convolution(2, 3, {5, 4}, g), Flatten(), Linear(3, 2, g));
    load_pytorch_state(other, state);
    CHECK(dynamic_cast<Convolution&>(other[0]).weight.to_vector<float>() == inside);
    auto wrong = state;
    wrong[0].tensor = layer.weight.detach();
    CHECK_THROWS_WITH_AS(load_pytorch_state(other, wrong),
                         doctest::Contains("0.weight is (3,4,2,5), expected (3,5,4,2)"), Error);
    wrong[0].tensor = Tensor::zeros({3, 2, 5});
    CHECK_THROWS_WITH_AS(load_pytorch_state(other, wrong),
                         doctest::Contains("0.weight is (3,2,5), expected (3,5,4,2)"), Error);
  }

  TEST_CASE("Sequential runs in order under PyTorch's names") {
    Generator g(5, Stream::test);
    Sequential net(Flatten(), Linear(4, 3, g), ReLU(), Linear(3, 2, g));
    CHECK(names_of(net.named_parameters()) == Names{"1.weight", "1.bias", "3.weight", "3.bias"});
    CHECK(net.size() == 4);
    const Tensor x =
        Tensor::from<float>(std::vector<float>{1, -1, 2, 0, 3, 1, -2, 1}, {2, 2, 2, 1});
    auto& first = dynamic_cast<Linear&>(net[1]);
    auto& second = dynamic_cast<Linear&>(net[3]);
    const Tensor by_hand = second(relu(first(reshape(x, {2, 4}))));
    CHECK(net(x).to_vector<float>() == by_hand.to_vector<float>());
    CHECK_THROWS_AS(net[4], Error);
    CHECK_THROWS_AS(net.add(nullptr), Error);
    CHECK(Sequential()(x).to_vector<float>() == x.to_vector<float>());
    CHECK(flatten(Tensor::zeros({0, 3, 2})).shape() == Shape{0, 6});
    CHECK(flatten(Tensor::zeros({5})).shape() == Shape{5, 1});
    CHECK_THROWS_AS(flatten(Tensor::zeros({})), Error);
  }

  TEST_CASE("initialisations have their distributions") {
    Generator g(6, Stream::test);
    Tensor w = Tensor::empty({200, 300});
    init_normal(w, g, 0.01);
    auto [mean, std] = mean_and_std(w);
    CHECK(std::abs(mean) <= 2.5e-4);
    CHECK(std::abs(std - 0.01) <= 2e-4);
    CHECK(largest(w) > 0.035);

    // Uniform on (-a, a): standard deviation a / √3, and with 60,000 draws one near the edge.
    const auto is_uniform = [&](const Tensor& x, double a) {
      const auto [m, s] = mean_and_std(x);
      CHECK(std::abs(m) <= 0.02 * a);
      CHECK(std::abs(s - a / std::sqrt(3.0)) <= 0.02 * a);
      CHECK(largest(x) <= a * (1 + 1e-6));
      CHECK(largest(x) >= a * 0.99);
    };
    init_xavier_uniform(w, g, std::sqrt(2.0));
    is_uniform(w, std::sqrt(2.0 * 6 / 500));
    init_kaiming_uniform(w, g, std::sqrt(2.0));
    is_uniform(w, std::sqrt(6.0 / 300));
    Tensor filters = Tensor::empty({200, 3, 3, 40});
    init_kaiming_normal(filters, g, std::sqrt(2.0));
    std::tie(mean, std) = mean_and_std(filters);
    CHECK(std::abs(mean) <= 1e-3);
    CHECK(std::abs(std - std::sqrt(2.0 / (9 * 200))) <= 4e-4);
    Tensor bias = Tensor::empty({20000});
    init_pytorch_default(w, bias, g);
    is_uniform(w, 1 / std::sqrt(300.0));
    is_uniform(bias, 1 / std::sqrt(300.0));
    init_constant(w, 0.25);
    CHECK(mean_and_std(w).first == 0.25);

    CHECK(fan_of({20, 3, 5, 7}).in == 3 * 5 * 7);
    CHECK(fan_of({20, 3, 5, 7}).out == 20 * 3 * 5);
    CHECK_THROWS_AS(fan_of({4}), Error);
  }

  TEST_CASE("the same seed and order give the same network, another seed another") {
    const auto weights = [](std::uint64_t seed) {
      Generator g(seed);
      Linear first(5, 4, g), second(5, 4, g);
      CHECK(first.weight.to_vector<float>() != second.weight.to_vector<float>());
      auto all = first.weight.to_vector<float>();
      const auto more = second.bias.to_vector<float>();
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    CHECK(weights(1) == weights(1));
    CHECK(weights(1) != weights(2));
  }
}
