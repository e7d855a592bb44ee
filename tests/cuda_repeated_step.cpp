// Steps that are recorded once and repeated: the same bits as eager ones, memory of their own, and
// what happens when the work throws.
#include "engine/repeated_step.h"

#include <doctest/doctest.h>

#include <optional>

#include "engine/autograd.h"
#include "engine/nn/batch_norm.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "engine/random.h"
#include "kernels/check.h"
#include "tests/cuda_device.h"
#include "tests/error_text.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

// A network with a batch norm, Adam with clipping, a batch of its own: everything a step may have.
struct Problem {
  explicit Problem(Device device) {
    Generator generator(7);
    const auto drawn = [&](const Shape& shape) {
      Tensor x = Tensor::empty(shape);
      fill_normal(x, generator, 0, 0.5);
      return to(x, device);
    };
    x = drawn({12, 5});
    label = to(Tensor::from(std::vector<std::int64_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, {12}),
               device);
    w1 = drawn({6, 5}).set_requires_grad(true);
    w2 = drawn({4, 6}).set_requires_grad(true);
    norm.to(device);
    optimizer =
        make_adam({{"w1", w1}, {"w2", w2}, {"norm.weight", norm.weight}, {"norm.bias", norm.bias}},
                  {.lr = 0.01});
    loss = Tensor::zeros({}, DType::f64, device);
    gradient_norm = Tensor::zeros({}, DType::f64, device);
  }

  void step() {
    const Tensor value = cross_entropy(linear(relu(norm(linear(x, w1, {}))), w2, {}), label);
    optimizer->clear_gradients();
    value.backward();
    gradient_norm.copy_(clip_gradient_norm(optimizer->parameters(), 0.5));
    optimizer->apply_step();
    NoGradGuard no_grad;
    loss.copy_(loss + cast(value, DType::f64));
  }

  // Everything that a step changes.
  std::vector<std::vector<double>> state() const {
    std::vector<std::vector<double>> all;
    for (const Tensor& t : {w1, w2, norm.weight, norm.bias, norm.running_mean, norm.running_var,
                            norm.num_batches_tracked, loss, gradient_norm})
      all.push_back(t.to_vector<double>());
    for (const NamedTensor& t : optimizer->state_dict())
      all.push_back(t.tensor.to_vector<double>());
    return all;
  }

  Tensor x, label, w1, w2;
  BatchNorm norm{6};
  std::unique_ptr<Optimizer> optimizer;
  Tensor loss, gradient_norm;
};

constexpr double rates[] = {0.01, 0.02, 0.005, 0.03, 0.001, 0.01, 0.02};

std::vector<std::vector<std::vector<double>>> states_of(StepMode mode) {
  Problem problem(gpu);
  RepeatedStep step(gpu, mode, [&] { problem.step(); });
  std::vector<std::vector<std::vector<double>>> states;
  for (const double rate : rates) {
    problem.optimizer->set_lr(rate);
    problem.optimizer->prepare_step();
    step.run();
    states.push_back(problem.state());
  }
  return states;
}

}  // namespace

TEST_SUITE_BEGIN("cuda");

TEST_CASE("cuda: a recorded step of training has the bits of an eager one, rate for rate") {
  if (skipped()) return;
  const auto eager = states_of(StepMode::eager), recorded = states_of(StepMode::recorded);
  REQUIRE(eager.size() == recorded.size());
  for (std::size_t i = 0; i < eager.size(); ++i) {
    CAPTURE(i);
    CHECK(eager[i] == recorded[i]);
    if (i > 0) CHECK(eager[i] != eager[i - 1]);
  }
  // And it is the step of the CPU.
  Problem here((Device()));
  for (const double rate : rates) {
    here.optimizer->set_lr(rate);
    here.optimizer->prepare_step();
    here.step();
  }
  CHECK(std::abs(here.loss.item() - eager.back()[7][0]) <= 1e-5);
  CHECK(here.norm.num_batches_tracked.item() == 7);
}

TEST_CASE("cuda: the memory of a recorded step is nobody else's, and goes back with it") {
  if (skipped()) return;
  release_cached_memory(gpu);
  const std::int64_t before = allocator_statistics(gpu).bytes_held;
  {
    Problem problem(gpu), undisturbed(gpu);
    auto step = std::make_optional<RepeatedStep>(gpu, StepMode::recorded, [&] { problem.step(); });
    const auto run = [&] {
      problem.optimizer->prepare_step();
      step->run();
    };
    for (int i = 0; i < 3; ++i) run();
    const std::int64_t allocations = allocator_statistics(gpu).device_allocations;
    for (int i = 0; i < 3; ++i) run();
    CHECK(allocator_statistics(gpu).device_allocations == allocations);
    // Tensors of everybody else, of all sizes that a step has: none may change under a repetition.
    std::vector<Tensor> others;
    for (std::int64_t count = 1; count <= 512; count *= 2)
      for (int i = 0; i < 8; ++i) others.push_back(Tensor::full({count}, 3, DType::f32, gpu));
    for (int i = 0; i < 3; ++i) run();
    for (const Tensor& other : others)
      CHECK(other.to_vector<float>() == std::vector<float>(std::size_t(other.count()), 3));
    // Nor had they any influence on it.
    for (int i = 0; i < 9; ++i) {
      undisturbed.optimizer->prepare_step();
      undisturbed.step();
    }
    CHECK(problem.state() == undisturbed.state());
    // What the step leaves behind, such as gradients, outlives it.
    step.reset();
    CHECK(problem.w1.grad().to_vector<float>().size() == 30);
    problem.optimizer->prepare_step();
    problem.step();
  }
  release_cached_memory(gpu);
  CHECK(allocator_statistics(gpu).bytes_held == before);
}

TEST_CASE("cuda: two recorded steps share an optimiser, as whole batches and a short last one do") {
  if (skipped()) return;
  const auto losses = [&](StepMode mode) {
    Problem problem(gpu);
    const Tensor all = problem.x, labels = problem.label;
    RepeatedStep whole(gpu, mode, [&] {
      problem.x = all, problem.label = labels;
      problem.step();
    });
    RepeatedStep last(gpu, mode, [&] {
      problem.x = slice(all, 0, 0, 5), problem.label = slice(labels, 0, 0, 5);
      problem.step();
    });
    std::vector<double> found;
    for (int i = 0; i < 16; ++i) {
      problem.optimizer->prepare_step();
      (i % 4 == 3 ? last : whole).run();
      found.push_back(problem.loss.item());
    }
    for (const auto& values : problem.state())
      found.insert(found.end(), values.begin(), values.end());
    return found;
  };
  CHECK(losses(StepMode::eager) == losses(StepMode::recorded));
}

TEST_CASE("cuda: work that reads values is refused while it is recorded, and all stays usable") {
  if (skipped()) return;
  Tensor x = Tensor::zeros({3}, DType::f32, gpu);
  bool reads = true;
  double seen = 0;
  RepeatedStep step(gpu, StepMode::recorded, [&] {
    x.copy_(x + 1.0);
    if (reads) seen = sum(x).item();
  });
  for (int i = 0; i < RepeatedStep::eager_runs; ++i) step.run();
  CHECK(seen == 3.0 * RepeatedStep::eager_runs);
  const std::string text = error_text([&] { step.run(); });
  CHECK(text.find("while its work is being recorded") != std::string::npos);
  CHECK(x.to_vector<float>() == std::vector<float>(3, RepeatedStep::eager_runs));
  reads = false;
  for (int i = 0; i < 3; ++i) step.run();
  CHECK(x.to_vector<float>() == std::vector<float>(3, RepeatedStep::eager_runs + 3));
}

TEST_CASE("cuda: an average over all batches cannot be recorded, and says so") {
  if (skipped()) return;
  BatchNorm norm(4, {.momentum = std::nullopt});
  norm.to(gpu);
  const Tensor x = Tensor::ones({3, 4}, DType::f32, gpu);
  RepeatedStep step(gpu, StepMode::recorded, [&] {
    NoGradGuard no_grad;
    norm(x);
  });
  for (int i = 0; i < RepeatedStep::eager_runs; ++i) step.run();
  CHECK_THROWS_AS(step.run(), Error);
  CHECK(norm.num_batches_tracked.item() == RepeatedStep::eager_runs);
}

TEST_SUITE_END();
