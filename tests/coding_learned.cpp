// Learning a code: losses by value, gradients through the frozen base model, and a small
// run that really learns.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "coding/evaluation.h"
#include "coding/learned/learned_code.h"
#include "coding/losses.h"
#include "coding/training.h"
#include "datasets/loader.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/mlp.h"

using namespace understudy;

namespace {

Tensor random(const Shape& shape, std::uint64_t seed) {
  Generator generator(seed, Stream::test);
  Tensor x = Tensor::empty(shape);
  fill_uniform(x, generator, -2, 2);
  return x;
}

// The first `count` bundled MNIST images, each 4×4 block of pixels averaged: (count, 7, 7, 1). Small
// enough that a code is learned in a second.
Dataset small_mnist(const Dataset& full, std::int64_t count) {
  std::vector<std::int64_t> index;
  for (std::int64_t i = 0; i < count; ++i) index.push_back(i);
  Dataset part = subset(full, index);
  const Tensor blocks = reshape(cast(part.images, DType::f32), {count, 7, 4, 7, 4});
  part.images = reshape(cast(mean(blocks, {2, 4}), DType::u8), {count, 7, 7, 1});
  return part;
}

void train_base(Mlp& base, const Dataset& data) {
  const auto optimizer = make_adam(base.named_parameters(), {.lr = 3e-3});
  Loader loader(data, {.batch_size = 100, .seed = 1});
  for (int epoch = 0; epoch < 6; ++epoch) {
    loader.start_epoch(epoch);
    for (std::int64_t b = 0; b < loader.batches(); ++b) {
      const Batch batch = loader.batch(b);
      optimizer->clear_gradients();
      cross_entropy(base(batch.images), batch.labels).backward();
      optimizer->step();
    }
  }
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("losses of a code against plain loops") {
    const int L = 5, C = 4;
    const Tensor decoded = random({L, C}, 1), target = random({L, C}, 2);
    const std::vector<std::int64_t> label = {3, 0, 1, 1, 2};
    const auto d = decoded.to_vector<float>(), t = target.to_vector<float>();
    double mse = 0, kl = 0, xent = 0;
    for (int i = 0; i < L; ++i) {
      double zd = 0, zt = 0;
      for (int c = 0; c < C; ++c) {
        zd += std::exp(double{d[i * C + c]});
        zt += std::exp(double{t[i * C + c]});
        mse += std::pow(double{d[i * C + c]} - double{t[i * C + c]}, 2);
      }
      for (int c = 0; c < C; ++c) {
        const double p = std::exp(double{t[i * C + c]}) / zt;
        kl += p * (std::log(p) - (d[i * C + c] - std::log(zd)));
      }
      xent -= d[i * C + static_cast<int>(label[i])] - std::log(zd);
    }
    const Tensor labels = Tensor::from(label, {L});
    const auto value = [&](CodeLoss loss) {
      return code_loss(loss, decoded, target, labels).item();
    };
    CHECK(std::abs(value(CodeLoss::mse_base) - mse / L) <= 1e-5);
    CHECK(std::abs(value(CodeLoss::kl_base) - kl / L) <= 1e-5);
    CHECK(std::abs(value(CodeLoss::xent_label) - xent / L) <= 1e-5);
    CHECK(code_loss_named("kl") == CodeLoss::kl_base);
    CHECK_THROWS_AS(code_loss_named("l1"), UsageError);
    CHECK_THROWS_AS(code_loss(CodeLoss::mse_base, random({0, C}, 1), random({0, C}, 1),
                              Tensor::zeros({0}, DType::i64)),
                    Error);
  }

  TEST_CASE("simulate_losses takes the missing rows of every scenario") {
    Generator generator(1);
    Mlp base({4, 3}, generator);
    LearnedCode code({.shape = {2, 2}, .image = {2, 2, 1}, .classes = 3}, generator);
    const Tensor images = random({6, 2, 2, 1}, 3);
    const Tensor outputs = base(images).detach();
    const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 1, 2, 0, 1, 2}, {6});
    const GroupBatch batch = as_groups(images, outputs, labels, 2);
    const std::vector<ErasurePattern> patterns = {{1}, {0, 1}, {0, 3}};
    const Reconstruction lost =
        simulate_losses(code, base, batch, Erasures::scenarios(code.shape(), patterns, 3, 2));
    REQUIRE(lost.decoded.shape() == Shape{12, 3});
    // Per group: unit 1; units 0 and 1; unit 0.
    std::vector<std::int64_t> rows;
    for (std::int64_t g = 0; g < 3; ++g)
      for (std::int64_t unit : {1, 0, 1, 0}) rows.push_back(2 * g + unit);
    const Tensor index = Tensor::from(rows, {12});
    CHECK(lost.target.to_vector<float>() == gather_rows(outputs, index).to_vector<float>());
    CHECK(lost.labels.to_vector<std::int64_t>() ==
          gather_rows(labels, index).to_vector<std::int64_t>());

    // One scenario by hand: group 2, {x0, p1} missing.
    const Tensor group = slice(batch.groups, 0, 2, 3);
    const Tensor answers = ask_workers(code, base, group);
    const Tensor decoded = code.decode(answers, Erasures(code.shape(), {{0, 3}}, 2));
    const auto want = select(select(decoded, 0, 0), 0, 0).to_vector<float>();
    const auto have = select(lost.decoded, 0, 11).to_vector<float>();
    for (int c = 0; c < 3; ++c) CHECK(std::abs(have[c] - want[c]) <= 1e-6);
    CHECK_THROWS_AS(as_groups(random({5, 2, 2, 1}, 3), outputs, labels, 2), Error);
  }

  TEST_CASE("gradients reach the encoder through the frozen base model, which stays as it is") {
    Generator generator(2);
    Mlp base({9, 8, 4}, generator);
    LearnedCode code({.shape = {2, 1}, .image = {3, 3, 1}, .classes = 4}, generator);
    for (Tensor& parameter : code.parameters()) {
      parameter.set_requires_grad(false);
      fill_uniform(parameter, generator, -0.4, 0.4);
      parameter.set_requires_grad(true);
    }
    std::vector<std::vector<float>> before;
    for (const Tensor& parameter : base.parameters())
      before.push_back(parameter.to_vector<float>());
    CodeTrainer trainer(code, base, standard_patterns(code), {.lr = 1e-2});
    CHECK(!base.training());
    const Tensor images = random({8, 3, 3, 1}, 4);
    const GroupBatch batch =
        as_groups(images, base(images).detach(), Tensor::zeros({8}, DType::i64), 2);

    trainer.loss(batch).backward();
    for (const NamedTensor& named : code.named_parameters()) {
      INFO(named.name);
      REQUIRE(named.tensor.grad().defined());
      CHECK(sum(abs(named.tensor.grad())).item() > 0);
    }
    // Central differences at the largest weight gradient of the encoder's first layer.
    Tensor weight = code.named_parameters()[0].tensor;
    const auto gradient = weight.grad().to_vector<float>();
    std::size_t at = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i)
      if (std::abs(gradient[i]) > std::abs(gradient[at])) at = i;
    const auto loss_with = [&](float change) {
      weight.detach().mutable_data<float>()[at] += change;
      const double value = trainer.loss(batch).item();
      weight.detach().mutable_data<float>()[at] -= change;
      return value;
    };
    const double slope = (loss_with(1e-2f) - loss_with(-1e-2f)) / 2e-2;
    CHECK(std::abs(slope - gradient[at]) <= 0.02 * std::abs(slope) + 1e-4);

    const double first = trainer.step(batch);
    double last = first;
    for (int step = 0; step < 30; ++step) last = trainer.step(batch);
    CHECK(last < 0.7 * first);
    std::size_t p = 0;
    for (const Tensor& parameter : base.parameters()) {
      CHECK(parameter.to_vector<float>() == before[p++]);
      CHECK(!parameter.grad().defined());
    }
  }

  TEST_CASE("a loss that is not finite stops the training with its reason") {
    Generator generator(2);
    Mlp base({4, 3}, generator);
    LearnedCode code({.shape = {2, 1}, .image = {2, 2, 1}, .classes = 3}, generator);
    CodeTrainer trainer(code, base, standard_patterns(code), {});
    const Tensor nan = Tensor::full({2, 3}, std::nan(""));
    const GroupBatch batch =
        as_groups(random({2, 2, 2, 1}, 4), nan, Tensor::zeros({2}, DType::i64), 2);
    CHECK_THROWS_WITH_AS(trainer.step(batch), doctest::Contains("diverged"), Error);
  }

  TEST_CASE("groups per step are those published") {
    Generator generator(1);
    const auto groups = [&](int k) {
      return LearnedCode({.shape = {k, 1}, .image = {1, 1, 1}}, generator).groups_per_batch();
    };
    CHECK(groups(2) == 64);
    CHECK(groups(5) == 32);
    CHECK(groups(63) == 2);
  }

  TEST_CASE("a code over small MNIST recovers most answers, for one and for two missing") {
    const auto folder =
        std::filesystem::path(UNDERSTUDY_TEST_FILES).parent_path() / "datasets/data";
    const TrainTest full = load_dataset("mnist", folder);
    const Dataset train = small_mnist(full.train, 4000), test = small_mnist(full.test, 1000);
    Generator generator(1);
    Mlp base({49, 32, 10}, generator);
    train_base(base, train);
    const Tensor train_outputs = all_outputs(base, train), test_outputs = all_outputs(base, test);
    REQUIRE(accuracy(test_outputs, test.labels) > 0.8);

    struct Case {
      int r;
      double recovery;
    };
    for (const Case& c : {Case{1, 0.6}, Case{2, 0.5}}) {
      CAPTURE(c.r);
      LearnedCode code({.shape = {2, c.r}, .image = {7, 7, 1}, .classes = 10}, generator);
      const auto patterns = standard_patterns(code);
      CodeTrainer trainer(code, base, patterns, {.lr = 3e-3});
      Loader loader(train, {.batch_size = 128, .group = 2, .seed = 1});
      for (int epoch = 0; epoch < 25; ++epoch) {
        loader.start_epoch(epoch);
        for (std::int64_t b = 0; b < loader.batches(); ++b) {
          const Batch batch = loader.batch(b);
          trainer.step(
              as_groups(batch.images, gather_rows(train_outputs, batch.index), batch.labels, 2));
        }
      }
      const CodeScore score = evaluate_code(code, base, test, test_outputs, patterns);
      MESSAGE("r = ", c.r, ": recovery-accuracy ", score.recovery_accuracy(), ", overall-accuracy ",
              score.overall_accuracy());
      CHECK(score.recovery_accuracy() >= c.recovery);
      CHECK(score.overall_accuracy() >= c.recovery - 0.1);
    }
  }
}
