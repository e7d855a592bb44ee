// Golden runs: the losses of the first fifty steps of training on the CPU and on a GPU, there with
// steps launched one by one and recorded. The same seed, so the same start, batches and crops.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "coding/evaluation.h"
#include "coding/learned/learned_code.h"
#include "coding/simulate.h"
#include "coding/training.h"
#include "datasets/batch_feed.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "engine/repeated_step.h"
#include "models/registry.h"
#include "tests/cuda_device.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

constexpr int steps = 50;

// The bundled sample of Fashion-MNIST, every `stride`-th pixel of every `stride`-th row.
Dataset images(std::int64_t stride) {
  const auto folder = std::filesystem::path(UNDERSTUDY_TEST_FILES).parent_path() / "datasets/data";
  Dataset set = load_dataset("fashion-mnist", folder).train;
  set.images = contiguous(slice(slice(set.images, 1, 0, 28, stride), 2, 0, 28, stride));
  return set;
}

// So few images that fifty steps have several epochs, each with a short last batch.
std::vector<std::int64_t> first(std::int64_t count) {
  return Tensor::arange(count).to_vector<std::int64_t>();
}

// What a run needs: its batches, what the host does before a step, and the step, which returns the
// loss.
struct Run {
  Dataset data;
  std::unique_ptr<Loader> loader;
  std::function<void(int step)> prepare;
  std::function<Tensor(const Batch&)> step;
};

std::vector<double> losses_of(Run& run, Device device, StepMode mode) {
  BatchFeed batches(*run.loader, 0);
  Tensor loss = Tensor::zeros({}, DType::f32, device);
  const auto work = [&] { loss.copy_(run.step(batches.batch()).detach()); };
  RepeatedStep whole(device, mode, work), last(device, mode, work);
  std::vector<double> losses;
  for (std::int64_t epoch = 0; losses.size() < steps; ++epoch) {
    batches.start_epoch(epoch);
    for (std::int64_t i = 0; i < run.loader->batches() && losses.size() < steps; ++i) {
      run.prepare(static_cast<int>(losses.size()));
      batches.advance();
      (batches.is_whole() ? whole : last).run();
      losses.push_back(loss.item());
    }
  }
  return losses;
}

// Of a classifier under SGD with Nesterov's momentum, weight decay, clipping and a changing rate.
std::vector<double> classifier_losses(const ModelRequest& options, const Augmentation& augmentation,
                                      std::int64_t stride, Device device, StepMode mode) {
  Run run{.data = to(images(stride), device)};
  run.loader = std::make_unique<Loader>(
      run.data, LoaderOptions{.batch_size = 24, .seed = 1, .augmentation = augmentation},
      first(200));
  Generator generator(1, Stream::initialization);
  const std::unique_ptr<Model> model = make_model(options, generator);
  model->to(device);
  const std::unique_ptr<Optimizer> optimizer =
      make_sgd(model->named_parameters(),
               {.lr = 0.02, .momentum = 0.9, .weight_decay = 1e-4, .nesterov = true});
  run.prepare = [&](int step) {
    optimizer->set_lr(0.02 / (1 + step / 10));
    optimizer->prepare_step();
  };
  run.step = [&](const Batch& batch) {
    const Tensor loss = cross_entropy((*model)(batch.images), batch.labels);
    optimizer->clear_gradients();
    loss.backward();
    clip_gradient_norm(optimizer->parameters(), 1);
    optimizer->apply_step();
    return loss;
  };
  return losses_of(run, device, mode);
}

// Of a learned code, k = 2 and r = 1, over a network that was never trained.
std::vector<double> code_losses(const std::string& encoder, Device device, StepMode mode) {
  Run run{.data = to(images(4), device)};
  run.loader = std::make_unique<Loader>(
      run.data, LoaderOptions{.batch_size = 12, .group = 2, .seed = 1}, first(100));
  Generator generator(1, Stream::initialization);
  const std::unique_ptr<Model> base =
      make_model({.name = "mlp", .input = {7, 7, 1}, .hidden = {20}}, generator);
  LearnedCode code(
      {.shape = {.k = 2, .r = 1}, .encoder = encoder, .image = {7, 7, 1}, .classes = 10},
      generator);
  base->to(device);
  code.to(device);
  CodeTrainer trainer(code, *base, standard_patterns(code), {});
  const Tensor outputs = all_outputs(*base, run.data);
  run.prepare = [&](int) { trainer.prepare_step(); };
  run.step = [&](const Batch& batch) {
    const Tensor loss =
        trainer.loss(as_groups(batch.images, gather_rows(outputs, batch.index), batch.labels, 2));
    trainer.update(loss);
    return loss;
  };
  return losses_of(run, device, mode);
}

// How far a loss may be from the CPU's, relative to it. What is rounded otherwise grows from step to
// step, and jumps where it turns a ReLU on or off: a wrong formula, order, start or crop shows in the
// first steps.
struct Tolerance {
  double first_ten, all;
};

// Of `losses(device, mode)`. On the GPU all steps have the same bits, recorded or not.
void check_golden(const std::function<std::vector<double>(Device, StepMode)>& losses,
                  const Tolerance& tolerance) {
  if (skipped()) return;
  const std::vector<double> here = losses(Device{}, StepMode::recorded);
  const std::vector<double> eager = losses(gpu, StepMode::eager);
  const std::vector<double> recorded = losses(gpu, StepMode::recorded);
  REQUIRE(here.size() == steps);
  CHECK(eager == recorded);
  double worst = 0;
  for (std::size_t i = 0; i < here.size(); ++i) {
    CAPTURE(i);
    const double difference = std::abs(eager[i] - here[i]) / here[i];
    CHECK(difference <= (i < 10 ? tolerance.first_ten : tolerance.all));
    worst = std::max(worst, difference);
  }
  MESSAGE("the largest relative difference is ", worst);
  // It was training: a loss that stands still would show nothing.
  CHECK(std::accumulate(here.end() - 10, here.end(), 0.0) <
        0.95 * std::accumulate(here.begin(), here.begin() + 10, 0.0));
}

}  // namespace

TEST_SUITE_BEGIN("cuda");

TEST_CASE("cuda: golden run of Base-MLP") {
  check_golden(
      [](Device device, StepMode mode) {
        return classifier_losses({.name = "mlp", .input = {28, 28, 1}}, {}, 1, device, mode);
      },
      {1e-5, 1e-3});
}

TEST_CASE("cuda: golden run of ResNet-18, narrow, with crops and flips") {
  check_golden(
      [](Device device, StepMode mode) {
        return classifier_losses({.name = "resnet18", .input = {14, 14, 1}, .width = 4},
                                 {.padding = 1, .flip = true}, 2, device, mode);
      },
      {1e-4, 5e-2});
}

TEST_CASE("cuda: golden run of a code with an MLPEncoder") {
  check_golden([](Device device, StepMode mode) { return code_losses("mlp", device, mode); },
               {1e-5, 1e-3});
}

TEST_CASE("cuda: golden run of a code with a ConvEncoder") {
  check_golden([](Device device, StepMode mode) { return code_losses("conv", device, mode); },
               {1e-4, 1e-2});
}

TEST_SUITE_END();
