// What graphs hold, when they let go of it, and graphs in several threads.
#include <doctest/doctest.h>

#include <barrier>
#include <cmath>
#include <thread>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/storage.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;

namespace {

constexpr int very_long = 200000;  // frames of recursion that no stack has room for

std::int64_t bytes_in_use() { return allocator_statistics({}).bytes_in_use; }

#ifdef __SANITIZE_ADDRESS__
constexpr bool caches_blocks = false;
#else
constexpr bool caches_blocks = true;
#endif

// One training step of a small classifier, without an optimiser; the loss.
double step(const Tensor& x, const Tensor& label, Tensor& w1, Tensor& b1, Tensor& w2) {
  const Tensor hidden = linear(x, w1, b1, Activation::relu);
  const Tensor loss = cross_entropy(linear(hidden, w2, Tensor()), label);
  loss.backward();
  const double value = loss.item();
  const NoGradGuard no_grad;
  for (Tensor* w : {&w1, &b1, &w2}) {
    w->copy_(*w - 0.1 * w->grad());
    w->clear_grad();
  }
  return value;
}

struct Problem {
  Tensor x, label, w1, b1, w2;
};

Problem make_problem(int seed) {
  const auto wave = [&](const Shape& shape, double pace) {
    std::vector<float> values(static_cast<std::size_t>(shape.count()));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(std::sin(pace * static_cast<double>(i) + seed));
    return Tensor::from(values, shape);
  };
  Problem p{wave({32, 20}, 0.7), Tensor(), wave({50, 20}, 1.3), wave({50}, 0.3),
            wave({10, 50}, 2.1)};
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 32; ++i) labels.push_back((7 * i + seed) % 10);
  p.label = Tensor::from(labels, {32});
  for (Tensor* w : {&p.w1, &p.b1, &p.w2}) w->set_requires_grad(true);
  return p;
}

std::vector<double> train(int seed, int steps) {
  Problem p = make_problem(seed);
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) losses.push_back(step(p.x, p.label, p.w1, p.b1, p.w2));
  return losses;
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("autograd: memory is freed as backward walks") {
  constexpr std::int64_t size = 1 << 20;
  constexpr int ops = 10;
  const Tensor x = Tensor::ones({size / 4}).set_requires_grad(true);
  const std::int64_t before = bytes_in_use();
  std::int64_t at_start = 0, at_end = 0;
  {
    Tensor y = record("probe", x.detach(), {x}, [&](const Tensor& dy, Wanted) {
      at_end = bytes_in_use();
      return Gradients{dy};
    });
    for (int i = 0; i < ops; ++i) y = tanh(y);
    const Tensor loss = sum(y);
    y = Tensor();
    at_start = bytes_in_use();
    CHECK(at_start - before >= ops * size);
    loss.backward();
  }
  // All that is left is the gradient on its way, while `loss` still holds on to the graph's end.
  CHECK(at_end - before < 3 * size);
  CHECK(bytes_in_use() - before < 2 * size);  // x.grad()
}

TEST_CASE("autograd: nothing is left behind") {
  const std::int64_t before = bytes_in_use();
  train(1, 3);
  CHECK(bytes_in_use() == before);
  {
    // Dropped without backward, and after one that failed.
    Problem p = make_problem(2);
    Tensor hidden = linear(p.x, p.w1, p.b1, Activation::relu);
    const Tensor loss = sum(linear(hidden, p.w2, Tensor()));
    {
      const NoGradGuard no_grad;
      hidden.fill_(0);
    }
    CHECK(error_text([&] { loss.backward(); }).starts_with("[linear] a tensor of shape (32,50)"));
    const Tensor unused = softmax(linear(p.x, p.w1, p.b1));
  }
  CHECK(bytes_in_use() == before);
}

TEST_CASE("autograd: a steady loop takes nothing from the device") {
  if (!caches_blocks) {
    MESSAGE("[skipped] memory is not cached under AddressSanitizer");
    return;
  }
  Problem p = make_problem(3);
  for (int i = 0; i < 3; ++i) step(p.x, p.label, p.w1, p.b1, p.w2);
  const AllocatorStatistics before = allocator_statistics({});
  for (int i = 0; i < 20; ++i) step(p.x, p.label, p.w1, p.b1, p.w2);
  const AllocatorStatistics after = allocator_statistics({});
  CHECK(after.device_allocations == before.device_allocations);
  CHECK(after.bytes_in_use == before.bytes_in_use);
  CHECK(after.bytes_held == before.bytes_held);
}

TEST_CASE("autograd: statistics and release of cached memory") {
  const std::int64_t before = bytes_in_use();
  Tensor x = Tensor::zeros({1000});
  CHECK(bytes_in_use() - before >= 4000);
  CHECK(allocator_statistics({}).peak_bytes_in_use >= bytes_in_use());
  x = Tensor();
  CHECK(bytes_in_use() == before);
  release_cached_memory({});
  CHECK(allocator_statistics({}).bytes_held == bytes_in_use());
}

TEST_CASE("autograd: a very long graph is walked") {
  Tensor x = Tensor::zeros({}, DType::f64).set_requires_grad(true);
  Tensor y = x;
  for (int i = 0; i < very_long; ++i) y = y + 1.0;
  CHECK(y.item() == very_long);
  y.backward();
  CHECK(x.grad().item() == 1);
}

TEST_CASE("autograd: a very long graph is dropped") {
  const std::int64_t before = bytes_in_use();
  {
    const Tensor x = Tensor::zeros({}, DType::f64).set_requires_grad(true);
    Tensor y = x;
    for (int i = 0; i < very_long; ++i) y = i % 2 ? y + x : y * x;
    y = Tensor();
    CHECK(bytes_in_use() - before < 4096);
    // Where a gradient ends in the middle.
    for (int i = 0; i < very_long; ++i) y = i % 2 ? y.defined() ? y + 1.0 : x + 1.0 : x * 1.0;
    Tensor z = x;
    for (int i = 0; i < very_long; ++i) z = z + 1.0;
    const Tensor stop =
        record("stop", z.detach(), {z}, [](const Tensor&, Wanted) { return Gradients{Tensor()}; });
    z = Tensor();
    stop.backward();
    CHECK(!x.grad().defined());
  }
  CHECK(bytes_in_use() == before);
}

TEST_CASE("autograd: a very long graph that two tensors hold") {
  const Tensor x = Tensor::zeros({}, DType::f64).set_requires_grad(true);
  Tensor middle, y = x;
  for (int i = 0; i < very_long; ++i) {
    y = y + 1.0;
    if (i == very_long / 2) middle = y;
  }
  y = Tensor();
  middle.backward();
  CHECK(x.grad().item() == 1);
}

TEST_CASE("autograd: threads with graphs of their own") {
  constexpr int threads = 3, steps = 10;
  std::vector<std::vector<double>> alone, together(threads);
  for (int t = 0; t < threads; ++t) alone.push_back(train(t, steps));
  std::barrier start(threads);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      start.arrive_and_wait();
      together[static_cast<std::size_t>(t)] = train(t, steps);
    });
  for (std::thread& worker : workers) worker.join();
  CHECK(together == alone);  // bit for bit
}

TEST_CASE("autograd: threads that share a frozen model") {
  constexpr int threads = 3;
  Problem p = make_problem(4);
  for (Tensor* w : {&p.w1, &p.b1, &p.w2}) w->set_requires_grad(false);
  const auto gradient = [&](int seed) {
    Tensor x = make_problem(seed).x;
    x.set_requires_grad(true);
    sum(linear(linear(x, p.w1, p.b1, Activation::relu), p.w2, Tensor())).backward();
    return x.grad().to_vector<float>();
  };
  std::vector<std::vector<float>> alone, together(threads);
  for (int t = 0; t < threads; ++t) alone.push_back(gradient(t));
  std::barrier start(threads);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int i = 0; i < 5; ++i) together[static_cast<std::size_t>(t)] = gradient(t);
    });
  for (std::thread& worker : workers) worker.join();
  CHECK(together == alone);
}

// A graph may be made in one thread and walked, or dropped, in another.
TEST_CASE("autograd: a graph that moves to another thread") {
  const Tensor x = Tensor::full({}, 3, DType::f64).set_requires_grad(true);
  Tensor y = square(x);
  std::thread([&] {
    y.backward();
    y = Tensor();
  }).join();
  CHECK(x.grad().item() == 6);
}

TEST_SUITE_END();
