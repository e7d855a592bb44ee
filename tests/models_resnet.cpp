// ResNet-18 against PyTorch: state dicts as files, logits, gradients, running statistics, and fifty
// steps of training (tests/reference/resnet.py).
#include "models/resnet.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <span>
#include <thread>

#include "engine/autograd.h"
#include "engine/nn/observer.h"
#include "engine/nn/pytorch_state.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/check.h"
#include "models/model_file.h"
#include "models/registry.h"
#include "tests/reference/resnet.h"

using namespace understudy;

namespace {

struct Case {
  const char* name;
  const char* description;
  Shape image;
};
constexpr int batch = 3;
const Case cases[] = {{"rgb", "resnet18 3-4-5-6-8-7", {32, 32, 3}},
                      {"rgb_plain", "resnet18 3-4-5-6-8-7 no-batch-norm", {32, 32, 3}},
                      {"grey", "resnet18 1-4-6-8-10", {28, 28, 1}},
                      {"grey_plain", "resnet18 1-4-6-8-10 no-batch-norm", {28, 28, 1}}};

std::filesystem::path reference_file(const std::string& name) {
  return std::filesystem::path(UNDERSTUDY_TEST_FILES) / "reference" / (name + ".safetensors");
}

std::unique_ptr<Model> load_reference(const Case& c) {
  return load_model(reference_file(std::string("resnet_") + c.name), c.description);
}

// noise() of resnet.py: fractions in [-1, 1), exact in float.
template <class T>
std::vector<T> noise(std::int64_t count, std::uint32_t salt) {
  std::vector<T> v(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < v.size(); ++i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) + 1000003 * salt;
    for (int round = 0; round < 2; ++round) h = (h ^ h >> 16) * 0x45d9f3b;
    v[i] = static_cast<T>(((h ^ h >> 16) & 0xffff) / 32768.0 - 1);
  }
  return v;
}

template <class T>
Tensor images(const Case& c) {
  const Shape shape{batch, c.image[0], c.image[1], c.image[2]};
  return Tensor::from(noise<T>(shape.count(), 0), shape);
}

Tensor labels(std::int64_t classes) {
  std::vector<std::int64_t> v;
  for (int n = 0; n < batch; ++n) v.push_back(n % classes);
  return Tensor::from(v, {batch});
}

// Largest difference over the largest of the expected values (or their range, for logits).
double error(const Tensor& found, const Tensor& expected) {
  REQUIRE(found.shape() == expected.shape());
  const auto a = found.to_vector<double>(), b = expected.to_vector<double>();
  double worst = 0, most = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= worst)) worst = std::abs(a[i] - b[i]);
    most = std::max(most, std::abs(b[i]));
  }
  return worst / most;
}

// Sees every layer and changes nothing.
class Watcher : public LayerObserver {
 public:
  Tensor observe(Module& module, const Tensor&, const Tensor& output) override {
    convolutions += dynamic_cast<Convolution*>(&module) != nullptr;
    norms += dynamic_cast<BatchNorm*>(&module) != nullptr;
    return output;
  }
  int convolutions = 0, norms = 0;
};

// golden() of resnet.py: noise with a brighter band of columns; which of seven, is the label.
template <class T>
std::vector<double> losses_of_training(const Case& c, double lr, int steps) {
  constexpr int N = 16, size = 32, channels = 3, bands = 7;
  const auto model = load_reference(c);
  model->to(dtype_of<T>);
  const auto optimizer = make_sgd(model->named_parameters(), {.lr = lr, .momentum = 0.9});
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    std::vector<T> x = noise<T>(N * size * size * channels, static_cast<std::uint32_t>(step));
    std::vector<std::int64_t> label;
    for (int n = 0; n < N; ++n) label.push_back((3 * n + step) % bands);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto column = static_cast<int>(i / channels % size);
      if (column * bands / size == label[i / (channels * size * size)]) x[i] += 2;
    }
    const Tensor loss = cross_entropy((*model)(Tensor::from(x, {N, size, size, channels})),
                                      Tensor::from(label, {N}));
    optimizer->clear_gradients();
    loss.backward();
    optimizer->step();
    losses.push_back(loss.item());
  }
  return losses;
}

// Largest relative difference of the first `steps` losses.
double drift(const std::vector<double>& losses, std::span<const double> expected,
             std::size_t steps) {
  double worst = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    const double e = std::abs(losses[i] / expected[i] - 1);
    if (!(e <= worst)) worst = e;
  }
  return worst;
}

}  // namespace

TEST_SUITE("models") {
  // In float the bounds leave room for instruction sets that round differently; in double the
  // stored gradients, which are float, set them.
  TEST_CASE_TEMPLATE("a ResNet-18 that PyTorch saved has PyTorch's logits and gradients", T, float,
                     double) {
    const bool single = std::is_same_v<T, float>;
    const Safetensors expected = read_safetensors(reference_file("resnet_expected"));
    for (const Case& c : cases) {
      CAPTURE(c.name);
      const std::string prefix = std::string(c.name) + "/";
      const auto model = load_reference(c);
      model->to(dtype_of<T>);
      const Tensor x = images<T>(c);
      model->eval();
      {
        NoGradGuard no_grad;  // batch norms inside the convolutions
        CHECK(error((*model)(x), expected.at(prefix + "logits")) <= (single ? 1e-5 : 1e-12));
      }
      CHECK(error((*model)(x), expected.at(prefix + "logits")) <= (single ? 1e-5 : 1e-12));

      model->train();
      const Tensor logits = (*model)(x);
      CHECK(error(logits, expected.at(prefix + "training_logits")) <= (single ? 1e-5 : 1e-12));
      const Tensor loss = cross_entropy(logits, labels(model->classes()));
      CHECK(error(loss, expected.at(prefix + "loss")) <= (single ? 1e-5 : 1e-12));
      loss.backward();
      for (const auto& [name, tensor] : model->named_parameters()) {
        CAPTURE(name);
        REQUIRE(tensor.grad().defined());
        const Tensor gradient =
            tensor.rank() == 4 ? permute(tensor.grad(), {0, 3, 1, 2}) : tensor.grad();
        CHECK(error(gradient, expected.at(prefix + "gradient/" + name)) <= (single ? 1e-4 : 1e-6));
      }
      // What the training pass has made of the running statistics.
      int statistics = 0;
      for (const auto& [name, tensor] : model->named_buffers()) {
        const Tensor* after = expected.find(prefix + "after/" + name);
        if (!after) continue;
        CAPTURE(name);
        ++statistics;
        CHECK(error(tensor, *after) <= (single ? 1e-5 : 1e-12));
      }
      CHECK(statistics == (model->named_buffers().empty() ? 0 : 6));
    }
  }

  // In double the two follow each other to the last digits, so every formula of the step is right.
  // In float a ReLU whose input is as small as its rounding takes another side, and with batch norm
  // the curves soon part by as much as PyTorch's own in float and double (resnet.h).
  TEST_CASE("fifty steps of ResNet-18 follow PyTorch's losses from the same weights") {
    const auto normed = losses_of_training<double>(cases[0], 0.01, 50);
    CHECK(drift(normed, reference::rgb_losses, 50) <= 1e-10);
    const auto plain = losses_of_training<double>(cases[1], 0.002, 50);
    CHECK(drift(plain, reference::rgb_plain_losses, 50) <= 1e-10);

    const auto rounded = losses_of_training<float>(cases[0], 0.01, 50);
    CHECK(drift(rounded, reference::rgb_losses, 3) <= 1e-5);
    CHECK(drift(rounded, reference::rgb_losses, 50) <= 0.1);
    const auto rounded_plain = losses_of_training<float>(cases[1], 0.002, 50);
    CHECK(drift(rounded_plain, reference::rgb_plain_losses, 20) <= 1e-4);
    CHECK(drift(rounded_plain, reference::rgb_plain_losses, 50) <= 1e-2);
  }

  TEST_CASE("an observer sees every layer of a ResNet-18, and the logits stay") {
    for (const Case& c : cases) {
      CAPTURE(c.name);
      const auto model = load_reference(c);
      model->eval();
      const Tensor x = images<float>(c);
      NoGradGuard no_grad;
      const Tensor logits = (*model)(x);
      Watcher watcher;
      CHECK(error((*model)(x), logits) <= 1e-5);
      const bool four = model->classes() == 7;
      CHECK(watcher.convolutions == (four ? 20 : 15));
      CHECK(watcher.norms == (model->named_buffers().empty() ? 0 : watcher.convolutions));
    }
  }

  TEST_CASE("threads share a frozen ResNet-18") {
    const auto model = load_reference(cases[0]);
    model->freeze();
    model->eval();
    // Logits with batch norms inside the convolutions, and the gradient of the images without.
    const auto run = [&] {
      Tensor x = images<float>(cases[0]);
      std::vector<float> values;
      {
        NoGradGuard no_grad;
        values = (*model)(x).to_vector<float>();
      }
      x.set_requires_grad(true);
      sum((*model)(x)).backward();
      const std::vector<float> gradient = x.grad().to_vector<float>();
      values.insert(values.end(), gradient.begin(), gradient.end());
      return values;
    };
    const std::vector<float> alone = run();
    std::vector<std::vector<float>> together(4);
    std::vector<std::thread> threads;
    for (auto& mine : together) threads.emplace_back([&] { mine = run(); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& mine : together) CHECK(mine == alone);
  }

  TEST_CASE("ResNet-18 fits its images: four stages, and three for 28×28") {
    Generator g(1);
    const auto describe = [&](const ModelRequest& request) {
      return make_model(request, g)->describe();
    };
    const auto small = make_model({.name = "resnet18", .input = {32, 32, 3}, .width = 16}, g);
    CHECK(small->describe() == "resnet18 3-16-32-64-128-10");
    CHECK(describe({.name = "resnet18", .input = {28, 28, 1}, .classes = 7, .width = 2}) ==
          "resnet18 1-2-4-8-7");
    CHECK(describe({.name = "resnet18", .input = {28, 28, 1}, .width = 2, .batch_norm = false}) ==
          "resnet18 1-2-4-8-10 no-batch-norm");
    // 64 wide: 11,173,962 parameters in PyTorch, and the buffers of 20 batch norms.
    CHECK(described_size("resnet18 3-64-128-256-512-10") == 11'173'962 + 2 * 4'800 + 20);
    CHECK(resnet18_widths({32, 32, 3}, 64, 10) ==
          std::vector<std::int64_t>{3, 64, 128, 256, 512, 10});
    CHECK_THROWS_WITH_AS(describe({.name = "resnet18", .input = {784}}),
                         "[resnet18] inputs (784): images (H,W,C) expected", UsageError);
    CHECK_THROWS_WITH_AS(describe({.name = "resnet18", .input = {28, 28, 1}, .hidden = {5}}),
                         "[resnet18] hidden widths 5: this model has none; \"mlp\" has",
                         UsageError);
    CHECK_THROWS_WITH_AS(describe({.name = "mlp", .input = {28, 28, 1}, .width = 16}),
                         "[mlp] width 16: this model has no stages; \"resnet18\" has", UsageError);
    CHECK_THROWS_AS(describe({.name = "mlp", .input = {28, 28, 1}, .batch_norm = false}),
                    UsageError);
    CHECK_THROWS_WITH_AS((*small)(Tensor::zeros({1, 32, 32, 1})),
                         "[resnet18] input (1,32,32,1): images (N,H,W,3) expected", Error);
    CHECK((*small)(Tensor::zeros({2, 9, 5, 3})).shape() == Shape{2, 10});  // any size
  }

  TEST_CASE("a ResNet-18 starts as published, and learns with and without batch norm") {
    Generator g(1);
    ResNet18 wide({3, 64, 10}, true, g);
    const auto parameters = wide.named_parameters();
    CHECK(parameters[0].name == "conv1.weight");
    CHECK(parameters[1].name == "bn1.weight");
    for (const auto& [name, tensor] : parameters) {
      if (tensor.rank() != 4) continue;
      CAPTURE(name);
      const double std = std::sqrt(mean(square(tensor.detach())).item());
      CHECK(std::abs(std - std::sqrt(2.0 / (9 * 64))) <= 3e-3);
    }
    for (const bool batch_norm : {true, false}) {
      CAPTURE(batch_norm);
      ResNet18 model({1, 4, 6, 8, 3}, batch_norm, g);
      const auto optimizer = make_adam(model.named_parameters(), {.lr = 0.01});
      const Tensor x = images<float>(cases[2]), label = labels(3);
      double loss = 0;
      for (int step = 0; step < 40; ++step) {
        const Tensor now = cross_entropy(model(x), label);
        loss = now.item();
        optimizer->clear_gradients();
        now.backward();
        optimizer->step();
        if (step == 0) CHECK(loss >= 0.5);
      }
      CHECK(loss <= 0.1);
    }
  }
}
