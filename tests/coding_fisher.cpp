// Fisher information against one gradient at a time, in double.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "coding/merging/fisher.h"
#include "coding/merging/output_gradients.h"
#include "engine/autograd.h"
#include "engine/nn/batch_norm.h"
#include "engine/nn/convolution.h"
#include "engine/nn/linear.h"
#include "engine/nn/sequential.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
#include "models/resnet.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

constexpr FisherKind all_kinds[] = {FisherKind::gaussian, FisherKind::classification,
                                    FisherKind::sampled, FisherKind::empirical};

Mlp random_mlp(std::vector<std::int64_t> widths, std::uint64_t seed) {
  Generator generator(seed);
  return Mlp(std::move(widths), generator);
}

Tensor random_labels(std::int64_t points, std::int64_t classes, std::uint64_t seed) {
  Generator generator(seed, Stream::test);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < points; ++i)
    labels.push_back(
        static_cast<std::int64_t>(generator.below(static_cast<std::uint64_t>(classes))));
  return Tensor::from(labels, {points});
}

// What FisherKind::sampled draws: for each point in turn one number of the stream.
class LabelDraws {
 public:
  explicit LabelDraws(std::uint64_t seed) : generator_(seed, Stream::sampling) {}
  std::int64_t next(const Tensor& logits) {
    double left = generator_.uniform();
    const auto p = softmax(logits.detach()).to_vector<double>();
    std::size_t y = 0;
    while (y + 1 < p.size() && left >= p[y]) left -= p[y++];
    return static_cast<std::int64_t>(y);
  }

 private:
  Generator generator_;
};

// The Fisher information by its definition: one sample and one class at a time, through autograd.
std::vector<Tensor> naive_fisher(Module& model, const Tensor& inputs, const FisherOptions& options,
                                 const Tensor& labels) {
  const EvaluationGuard evaluation(model);
  std::vector<Tensor> total;
  for (const Tensor& p : model.parameters()) total.push_back(Tensor::zeros(p.shape(), p.dtype()));
  const auto add = [&](const Tensor& output, double weight) {
    for (Tensor& parameter : model.parameters()) parameter.clear_grad();
    output.backward(Tensor::ones({1, 1}, output.dtype()));
    std::size_t t = 0;
    for (const Tensor& parameter : model.parameters()) {
      total[t] = total[t] + scale(square(parameter.grad()), weight);
      ++t;
    }
  };
  LabelDraws draws(options.seed);
  for (std::int64_t i = 0; i < inputs.size(0); ++i) {
    const auto logits = [&] { return model(slice(inputs, 0, i, i + 1)); };
    const std::int64_t classes = logits().size(1);
    const auto output = [&](std::int64_t c, bool log_p) {
      return slice(log_p ? log_softmax(logits()) : logits(), 1, c, c + 1);
    };
    for (std::int64_t c = 0; c < classes; ++c) {
      if (options.kind == FisherKind::gaussian) add(output(c, false), 1);
      if (options.kind == FisherKind::classification)
        add(output(c, true), std::exp(output(c, true).item()));
    }
    if (options.kind == FisherKind::sampled) add(output(draws.next(logits()), true), 1);
    if (options.kind == FisherKind::empirical)
      add(output(static_cast<std::int64_t>(slice(labels, 0, i, i + 1).item()), true), 1);
  }
  for (Tensor& parameter : model.parameters()) parameter.clear_grad();
  for (Tensor& t : total) t = scale(t, 1.0 / static_cast<double>(inputs.size(0)));
  return total;
}

// All kinds, in batches that do not divide the points.
void check_against_autograd(Module& model, const Tensor& inputs, std::int64_t classes) {
  model.to(DType::f64);
  const Tensor labels = random_labels(inputs.size(0), classes, 7);
  const auto names = model.named_parameters();
  for (const FisherKind kind : all_kinds) {
    const std::string kind_name = to_string(kind);
    CAPTURE(kind_name);
    FisherOptions options{.kind = kind, .seed = 5};
    const auto want = naive_fisher(model, inputs, options, labels);
    for (const std::int64_t batch_size : {1, 4, 64}) {
      CAPTURE(batch_size);
      options.batch_size = batch_size;
      const auto fisher = diagonal_fisher(model, inputs, options,
                                          kind == FisherKind::empirical ? labels : Tensor());
      REQUIRE(fisher.size() == want.size());
      for (std::size_t t = 0; t < want.size(); ++t) {
        CAPTURE(names[t].name);
        CHECK(fisher[t].name == names[t].name);
        CHECK(fisher[t].tensor.dtype() == DType::f64);
        const double size = max(reshape(want[t], {-1}), 0).item();
        CHECK(size > 0);
        CHECK(largest_difference(fisher[t].tensor, want[t]) <= 1e-11 * size);
      }
    }
  }
  for (const Tensor& parameter : model.parameters()) {
    CHECK(parameter.requires_grad());  // as before
    CHECK(!parameter.grad().defined());
  }
  CHECK(model.training());
}

// Batch norms' parameters and statistics as after training, not 0 and 1.
void give_statistics(Module& model) {
  Generator generator(9, Stream::test);
  for (NamedTensor& buffer : model.named_buffers())
    if (is_floating(buffer.tensor.dtype())) fill_uniform(buffer.tensor, generator, 0.3, 1.5);
  for (NamedTensor& parameter : model.named_parameters())
    if (parameter.tensor.rank() == 1) {
      Tensor values = parameter.tensor.detach();
      fill_uniform(values, generator, -1, 1.5);
    }
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("the diagonal Fisher of an MLP is that of single-sample gradients") {
    Mlp model = random_mlp({6, 5, 7, 4}, 1);
    check_against_autograd(model, random({11, 6}, 2, DType::f64), 4);
  }

  // Four stages: the last has one pixel, the third four, whose seeds are added up together.
  TEST_CASE("the diagonal Fisher of a ResNet is that of single-sample gradients") {
    for (const bool batch_norm : {false, true}) {
      CAPTURE(batch_norm);
      Generator generator(5);
      ResNet18 model({2, 3, 4, 5, 6, 3}, batch_norm, generator);
      give_statistics(model);
      check_against_autograd(model, random({5, 8, 8, 2}, 3, DType::f64), 3);
    }
  }

  // Convolutions with fused ReLU, bias, stride, dilation and no padding.
  TEST_CASE("the diagonal Fisher of convolutions is that of single-sample gradients") {
    Generator generator(6);
    Sequential model(
        Convolution(
            2, 5, {3, 2}, generator,
            {.conv = {.stride = {2, 1}, .padding = {1, 0}}, .activation = Activation::relu}),
        Convolution(5, 4, 3, generator, {.conv = {.padding = 2, .dilation = 2}, .bias = false}),
        BatchNorm(4), ReLU(), Flatten(),
        Linear(4 * 5 * 8, 7, generator, {.activation = Activation::relu}), BatchNorm(7),
        Linear(7, 3, generator, {.bias = false}));
    give_statistics(model);
    check_against_autograd(model, random({6, 9, 9, 2}, 4, DType::f64), 3);
  }

  TEST_CASE("the Fisher of a linear model has a closed form") {
    Generator generator(3);
    Logistic model(5, 3, generator);
    const Tensor inputs = random({20, 5}, 4);
    const auto fisher = diagonal_fisher(model, inputs);
    const Tensor squares = mean(square(inputs), {0});  // each class's row: mean of x²
    for (int c = 0; c < 3; ++c)
      CHECK(largest_difference(select(fisher[0].tensor, 0, c), squares) <= 1e-6);
    CHECK(largest_difference(fisher[1].tensor, Tensor::ones({3})) <= 1e-6);
  }

  TEST_CASE("sampled labels give the classification Fisher in the mean") {
    Mlp model = random_mlp({4, 5, 3}, 2);
    const Tensor point = random({1, 4}, 8);
    const auto exact = diagonal_fisher(model, point, {.kind = FisherKind::classification});
    const Tensor many = contiguous(broadcast_to(point, {20000, 4}));
    const auto sampled =
        diagonal_fisher(model, many, {.kind = FisherKind::sampled, .batch_size = 5000, .seed = 1});
    for (std::size_t t = 0; t < exact.size(); ++t)
      CHECK(largest_difference(sampled[t].tensor, exact[t].tensor) <=
            0.03 * max(reshape(exact[t].tensor, {-1}), 0).item());
    const auto other =
        diagonal_fisher(model, many, {.kind = FisherKind::sampled, .batch_size = 5000, .seed = 2});
    CHECK(largest_difference(sampled[0].tensor, other[0].tensor) > 0);
  }

  TEST_CASE("kinds of Fisher information have names") {
    for (const FisherKind kind : all_kinds) CHECK(fisher_kind(to_string(kind)) == kind);
    CHECK(fisher_kind_names().size() == std::size(all_kinds));
    CHECK_THROWS_WITH_AS(fisher_kind("exact"),
                         doctest::Contains("gaussian, classification, sampled, empirical"),
                         UsageError);
  }

  TEST_CASE("labels that do not fit are refused") {
    Mlp model = random_mlp({4, 3}, 1);
    const Tensor inputs = random({3, 4}, 1);
    const auto empirical = [&](const Tensor& labels) {
      diagonal_fisher(model, inputs, {.kind = FisherKind::empirical, .batch_size = 2}, labels);
    };
    CHECK_THROWS_WITH_AS(empirical({}), doctest::Contains("labels, and none were given"), Error);
    CHECK_THROWS_WITH_AS(empirical(Tensor::from(std::vector<std::int64_t>{0, 1}, {2})),
                         doctest::Contains("labels (2) of int64 for 3 points"), Error);
    CHECK_THROWS_WITH_AS(empirical(Tensor::zeros({3})), doctest::Contains("float32"), Error);
    CHECK_THROWS_WITH_AS(empirical(Tensor::from(std::vector<std::int64_t>{0, 1, 3}, {3})),
                         doctest::Contains("point 2 has the label 3, but the model has 3 classes"),
                         Error);
    CHECK_THROWS_WITH_AS(empirical(Tensor::from(std::vector<std::int64_t>{0, -1, 2}, {3})),
                         doctest::Contains("point 1 has the label -1"), Error);
    CHECK(model.layers[0].weight.requires_grad());
    CHECK_THROWS_AS(diagonal_fisher(model, inputs, {.batch_size = 0}), Error);
    CHECK_THROWS_AS(diagonal_fisher(model, slice(inputs, 0, 0, 0)), Error);
    const NoGradGuard no_grad;
    CHECK_THROWS_WITH_AS(diagonal_fisher(model, inputs), doctest::Contains("NoGradGuard"), Error);
  }

  TEST_CASE("the Fisher of layers that are not known is refused by name") {
    struct Scaled : Module {
      explicit Scaled(Generator& generator) : fc(4, 3, generator) { gain.set_requires_grad(true); }
      Tensor gain = Tensor::ones({3});
      Linear fc;
      Tensor forward(const Tensor& x) override { return fc(x) * gain; }
      void members(Members& m) override {
        m.parameter("gain", gain);
        m.child("fc", fc);
      }
    };
    Generator generator(1);
    Scaled model(generator);
    CHECK_THROWS_WITH_AS(diagonal_fisher(model, random({3, 4}, 1)), doctest::Contains("gain"),
                         Error);
    CHECK_THROWS_WITH_AS(check_fisher(model), doctest::Contains("gain"), Error);
    check_fisher(model.fc);
    CHECK(model.fc.weight.requires_grad());
  }

  TEST_CASE("layers used twice, sharing a tensor or not at all are refused by name") {
    struct Two : Module {
      explicit Two(Generator& generator) : a(4, 4, generator), b(4, 4, generator) {}
      Linear a, b;
      int use = 0;
      Tensor forward(const Tensor& x) override {
        return use == 0 ? a(a(x)) : use == 1 ? b(a(x)) : b(x);
      }
      void members(Members& m) override {
        m.child("a", a);
        m.child("b", b);
      }
    };
    Generator generator(1);
    Two model(generator);
    const Tensor inputs = random({3, 4}, 1);
    CHECK_THROWS_WITH_AS(diagonal_fisher(model, inputs),
                         doctest::Contains("\"a.weight\" is used twice"), Error);
    model.use = 1;
    CHECK(diagonal_fisher(model, inputs).size() == 4);
    model.use = 2;
    CHECK_THROWS_WITH_AS(diagonal_fisher(model, inputs),
                         doctest::Contains("does not run the layers that own a.weight, a.bias"),
                         Error);
    model.use = 1;
    model.b.weight = model.a.weight;
    CHECK_THROWS_WITH_AS(diagonal_fisher(model, inputs),
                         doctest::Contains("share one tensor, the \"weight\" (4,4)"), Error);
  }

  TEST_CASE("a layer that the outputs do not depend on has no Fisher information") {
    struct Idle : Module {
      explicit Idle(Generator& generator) : a(4, 3, generator), b(4, 3, generator) {}
      Linear a, b;
      Tensor forward(const Tensor& x) override {
        b(x);
        return a(x);
      }
      void members(Members& m) override {
        m.child("a", a);
        m.child("b", b);
      }
    };
    Generator generator(1);
    Idle model(generator);
    const auto fisher = diagonal_fisher(model, random({3, 4}, 1));
    CHECK(sum(fisher[0].tensor).item() > 0);
    CHECK(largest_difference(fisher[2].tensor, Tensor::zeros({3, 4})) == 0);
    CHECK(largest_difference(fisher[3].tensor, Tensor::zeros({3})) == 0);
  }

  // What K-FAC builds on: Σ over points and seeds of δ aᵀ for the gaussian kind is the gradient of
  // the sum of the logits.
  TEST_CASE("output gradients are told layer by layer, from the last to the first") {
    struct Sums : OutputGradientVisitor {
      bool wants(const Module& module) const override {
        return dynamic_cast<const Linear*>(&module) != nullptr;
      }
      void begin_batch(std::span<const TappedLayer> layers) override {
        inputs.clear();
        for (const TappedLayer& layer : layers) inputs.push_back(layer.input);
        totals.resize(layers.size());
        order.clear();
      }
      void gradient(std::size_t layer, const Tensor& dy) override {
        order.push_back(layer);
        const Tensor part = matmul(transpose(dy), inputs[layer]);
        totals[layer] = totals[layer].defined() ? totals[layer] + part : part;
      }
      void end_batch() override { ++batches; }
      std::vector<Tensor> inputs, totals;
      std::vector<std::size_t> order;
      int batches = 0;
    } sums;
    Mlp model = random_mlp({5, 4, 3, 2}, 3);
    model.to(DType::f64);
    const Tensor inputs = random({7, 5}, 4, DType::f64);
    for_each_output_gradient(model, inputs, {.batch_size = 3}, {}, sums);
    CHECK(sums.batches == 3);
    CHECK(sums.order == std::vector<std::size_t>{2, 1, 0, 2, 1, 0});
    sum(model(inputs)).backward();
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(largest_difference(sums.totals[i], model.layers[i].weight.grad()) <= 1e-12);
  }
}
