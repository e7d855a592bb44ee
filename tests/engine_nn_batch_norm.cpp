// BatchNorm: PyTorch's numbers and state, the fused call, and statistics measured anew.
#include <doctest/doctest.h>

#include <cmath>
#include <span>

#include "engine/autograd.h"
#include "engine/nn/batch_norm.h"
#include "engine/nn/convolution.h"
#include "engine/nn/init.h"
#include "engine/nn/observer.h"
#include "engine/nn/sequential.h"
#include "engine/safetensors.h"
#include "tests/error_text.h"
#include "tests/reference/batch_norm.h"
#include "tests/temporary_folder.h"

using namespace understudy;
using understudy::testing::error_text;

namespace {

// The formulas of reference/batch_norm.py.
constexpr std::int64_t sizes[] = {4, 2, 3, 2};
Tensor batch(int step, int salt = 0) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < sizes[step] * 18; ++i)
    values.push_back(static_cast<double>((37 * i + 11 * (step + salt) + i / 64) % 64 - 32) / 32 *
                     (step + 1.0));
  return Tensor::from(values, {sizes[step], 2, 3, 3});
}

BatchNorm layer(std::optional<double> momentum) {
  BatchNorm norm(3, {.eps = 1e-3, .momentum = momentum});
  norm.to(DType::f64);
  NoGradGuard no_grad;
  norm.weight.copy_(Tensor::from(std::vector<double>{1.5, -0.5, 0.25}, {3}));
  norm.bias.copy_(Tensor::from(std::vector<double>{0.125, 0.5, -0.25}, {3}));
  return norm;
}

double difference(const Tensor& x, std::span<const double> expected) {
  const std::vector<double> values = x.to_vector<double>();
  if (values.size() != expected.size()) return INFINITY;
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(values[i] - expected[i]);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

double difference(const Tensor& x, const Tensor& y) { return difference(x, y.to_vector<double>()); }

Tensor normal(const Shape& shape, std::uint64_t seed, double mean = 0, double std = 1) {
  Generator generator(seed, Stream::test);
  Tensor x = Tensor::empty(shape);
  fill_normal(x, generator, mean, std);
  return x;
}

// Every module that was run, and the last result.
struct Seen : LayerObserver {
  Tensor observe(Module& module, const Tensor&, const Tensor& output) override {
    modules.push_back(&module);
    last = output;
    return output;
  }
  std::vector<Module*> modules;
  Tensor last;
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("BatchNorm gives PyTorch's results and running statistics") {
    struct Run {
      std::optional<double> momentum;
      std::span<const double> results, means, variances;
    };
    const Run runs[] = {{0.1, reference::momentum_results, reference::momentum_means,
                         reference::momentum_variances},
                        {std::nullopt, reference::cumulative_results, reference::cumulative_means,
                         reference::cumulative_variances}};
    for (const Run& run : runs) {
      BatchNorm norm = layer(run.momentum);
      std::size_t done = 0;
      for (int step = 0; step < 4; ++step) {
        CAPTURE(step);
        norm.train(step < 3);
        const Tensor y = norm(batch(step));
        const auto count = static_cast<std::size_t>(y.count());
        const auto state = static_cast<std::size_t>(3 * step);
        CHECK(difference(y, run.results.subspan(done, count)) <= 1e-13);
        CHECK(difference(norm.running_mean, run.means.subspan(state, 3)) <= 1e-14);
        CHECK(difference(norm.running_var, run.variances.subspan(state, 3)) <= 1e-14);
        CHECK(norm.num_batches_tracked.item() == std::min(step + 1, 3));
        done += count;
      }
    }
  }

  TEST_CASE("BatchNorm with residual and ReLU has PyTorch's gradients in both modes") {
    struct Run {
      std::span<const double> result, dx, dweight, dbias, dresidual;
    };
    const Run runs[] = {
        {reference::training_result, reference::training_dx, reference::training_dweight,
         reference::training_dbias, reference::training_dresidual},
        {reference::evaluation_result, reference::evaluation_dx, reference::evaluation_dweight,
         reference::evaluation_dbias, reference::evaluation_dresidual}};
    BatchNorm norm = layer(0.1);
    for (const Run& run : runs) {
      norm.train(&run == runs);
      norm.weight.clear_grad();
      norm.bias.clear_grad();
      Tensor x = batch(0).set_requires_grad(true), residual = batch(0, 7).set_requires_grad(true);
      const Tensor y = norm.normalize(x, residual, Activation::relu);
      y.backward(batch(0, 13));
      CHECK(difference(y, run.result) <= 1e-13);
      CHECK(difference(x.grad(), run.dx) <= 1e-13);
      CHECK(difference(norm.weight.grad(), run.dweight) <= 1e-12);
      CHECK(difference(norm.bias.grad(), run.dbias) <= 1e-12);
      CHECK(difference(residual.grad(), run.dresidual) <= 1e-13);
    }
  }

  TEST_CASE("BatchNorm's state has PyTorch's names and types, and goes through a file") {
    BatchNorm norm(5);
    std::vector<std::string> names;
    for (const NamedTensor& named : norm.state_dict()) names.push_back(named.name);
    CHECK(names == std::vector<std::string>{"weight", "bias", "running_mean", "running_var",
                                            "num_batches_tracked"});
    CHECK(norm.parameters().size() == 2);
    CHECK(norm.weight.requires_grad());
    CHECK(norm.bias.requires_grad());
    norm(normal({8, 2, 2, 5}, 1, 3));
    norm(normal({8, 2, 2, 5}, 2, 3));
    CHECK(norm.num_batches_tracked.dtype() == DType::i64);
    CHECK(norm.num_batches_tracked.shape() == Shape{});

    const TemporaryFolder folder;
    Safetensors written;
    for (const NamedTensor& named : norm.state_dict())
      written.tensors.emplace_back(named.name, named.tensor);
    write_safetensors(folder.path() / "norm.safetensors", written);
    std::vector<NamedTensor> state;
    for (const auto& [name, tensor] : read_safetensors(folder.path() / "norm.safetensors").tensors)
      state.push_back({name, tensor});
    BatchNorm other(5);
    other.load_state_dict(state);
    CHECK(other.num_batches_tracked.item() == 2);
    norm.eval();
    other.eval();
    const Tensor x = normal({3, 2, 2, 5}, 3);
    CHECK(norm(x).to_vector<float>() == other(x).to_vector<float>());

    other.to(DType::f64);
    CHECK(other.running_var.dtype() == DType::f64);
    CHECK(other.num_batches_tracked.dtype() == DType::i64);
    other.reset_running_statistics();
    CHECK(other.num_batches_tracked.item() == 0);
    CHECK(difference(other.running_mean, std::vector<double>(5, 0)) == 0);
    CHECK(difference(other.running_var, std::vector<double>(5, 1)) == 0);
  }

  TEST_CASE("a convolution with a batch norm's scale and shift is both in evaluation mode") {
    Generator generator(4, Stream::test);
    Convolution convolution(3, 20, 3, generator, {.conv = {.padding = 1}, .bias = false});
    BatchNorm norm(20);
    NoGradGuard no_grad;
    fill_normal(norm.weight, generator, 1, 0.5);
    fill_normal(norm.bias, generator, 0, 1);
    const Tensor x = normal({2, 6, 5, 3}, 5);
    for (int i = 0; i < 5; ++i) norm(convolution(normal({4, 6, 5, 3}, 6, 0.3)));
    norm.eval();
    const Tensor residual = normal({2, 6, 5, 20}, 7);
    const auto [scale, shift] = norm.affine();
    const Tensor fused = conv2d_affine(x, convolution.weight, scale, shift, residual,
                                       convolution.conv, Activation::relu);
    CHECK(difference(fused, norm.normalize(convolution(x), residual, Activation::relu)) <= 1e-5);
  }

  TEST_CASE("an observer sees a fused batch norm as the layer it is") {
    BatchNorm norm(4);
    const Tensor x = normal({5, 3, 3, 4}, 8), residual = normal({5, 3, 3, 4}, 9);
    const Tensor plain = norm(x);
    const Tensor fused = norm.normalize(x, residual, Activation::relu);
    Seen seen;
    const Tensor watched = norm.normalize(x, residual, Activation::relu);
    CHECK(seen.modules == std::vector<Module*>{&norm});
    CHECK(seen.last.to_vector<float>() == plain.to_vector<float>());
    CHECK(watched.to_vector<float>() == fused.to_vector<float>());
    CHECK(norm.num_batches_tracked.item() == 3);
  }

  TEST_CASE("running statistics are measured anew on the data that is given") {
    Generator generator(10, Stream::test);
    Sequential net(Convolution(2, 4, 1, generator), BatchNorm(4), ReLU(),
                   Convolution(4, 3, 1, generator), BatchNorm(3));
    auto& first = dynamic_cast<BatchNorm&>(net[1]);
    auto& last = dynamic_cast<BatchNorm&>(net[4]);
    for (int i = 0; i < 3; ++i) net(normal({9, 4, 4, 2}, 11, 50));
    net.eval();
    last.train();
    last.momentum = 0.25;

    const Tensor data[] = {normal({6, 4, 4, 2}, 12, 1), normal({6, 4, 4, 2}, 13, 2)};
    int given = 0;
    reestimate_batch_norm(net, [&] { return given < 2 ? data[given++] : Tensor(); });
    CHECK(!first.training());
    CHECK(last.training());
    CHECK(*first.momentum == 0.1);
    CHECK(*last.momentum == 0.25);
    CHECK(first.num_batches_tracked.item() == 2);
    CHECK(last.num_batches_tracked.item() == 2);
    Tensor mean, variance;
    for (const Tensor& x : data) {
      const ChannelStatistics s = channel_statistics(net[0](x));
      const Tensor unbiased = s.variance * (96.0 / 95.0);
      mean = mean.defined() ? (mean + s.mean) / 2 : s.mean;
      variance = variance.defined() ? (variance + unbiased) / 2 : unbiased;
    }
    CHECK(difference(first.running_mean, mean) <= 1e-6);
    CHECK(difference(first.running_var, variance) <= 1e-6);
    CHECK(!net[0].parameters()[0].grad().defined());

    CHECK(error_text([&] { reestimate_batch_norm(net, [] { return Tensor(); }); }) ==
          "[reestimate_batch_norm] there is no batch to measure on");
    CHECK(first.num_batches_tracked.item() == 2);
    // What throws half-way leaves modes and momenta as they were.
    CHECK_THROWS_AS(reestimate_batch_norm(net, [] { return Tensor::zeros({1, 1, 1, 5}); }), Error);
    CHECK(!first.training());
    CHECK(*last.momentum == 0.25);
  }

  TEST_CASE("BatchNorm refuses what has no statistics") {
    BatchNorm norm(3);
    CHECK(error_text([&] {
            norm(Tensor::zeros({1, 1, 1, 3}));
          }) == "[BatchNorm] training on (1,1,1,3): needs more than one value per channel");
    CHECK(error_text([&] {
            norm(Tensor::zeros({2, 4}));
          }) == "[BatchNorm] input (2,4): expected (..., 3), channels last");
    CHECK(norm.num_batches_tracked.item() == 0);
    norm.eval();
    CHECK(norm(Tensor::zeros({1, 1, 1, 3})).shape() == Shape{1, 1, 1, 3});
    CHECK(norm(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
    CHECK(error_text([] { BatchNorm none(0); }) == "[BatchNorm] 0 channels: at least 1 needed");
    CHECK(error_text([] { BatchNorm odd(3, {.eps = 0}); }) ==
          "[BatchNorm] eps must be positive, found 0");
    CHECK(error_text([] { BatchNorm odd(3, {.momentum = 1.5}); }) ==
          "[BatchNorm] momentum must be from 0 to 1, found 1.5");
  }
}
