#include "coding/merging/distillation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numbers>

#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "engine/random.h"
#include "kernels/check.h"

namespace understudy {
namespace {

constexpr std::int64_t answer_batch = 256;

// Σ β_i f_i of all points (P, C).
Tensor wanted_outputs(const MergeProblem& problem, const Tensor& points) {
  const NoGradGuard no_grad;
  Tensor wanted;
  for (std::size_t i = 0; i < problem.models.size(); ++i) {
    if (problem.weights[i] == 0) continue;
    const EvaluationGuard evaluation(*problem.models[i]);
    std::vector<Tensor> parts;
    for (std::int64_t begin = 0; begin < points.size(0); begin += answer_batch)
      parts.push_back((*problem.models[i])(
          contiguous(slice(points, 0, begin, std::min(begin + answer_batch, points.size(0))))));
    const Tensor all = scale(concat(parts, 0), problem.weights[i]);
    wanted = wanted.defined() ? wanted + all : all;
  }
  return wanted;
}

}  // namespace

void distill(const MergeProblem& problem, Module& merged) {
  using Clock = std::chrono::steady_clock;
  const DistillationOptions& options = problem.distillation;
  check(options.epochs >= 0 && options.batch_size >= 1 && options.lr > 0,
        "[distill] {} epochs, batches of {}, learning rate {}: expected 0, 1 and more than 0 at "
        "least",
        options.epochs, options.batch_size, options.lr);
  auto start = Clock::now();
  double seconds = 0;
  const EvaluationGuard evaluation(merged);
  const Tensor points = concat(problem.points, 0);
  const Tensor wanted = wanted_outputs(problem, points);
  const std::int64_t P = points.size(0), steps = (P + options.batch_size - 1) / options.batch_size;
  const auto optimizer = make_adam(merged.named_parameters(), {.lr = options.lr});
  Generator generator(static_cast<std::uint64_t>(options.seed), Stream::shuffling);
  for (std::int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const std::vector<std::int64_t> order = generator.permutation(P);
    double loss = 0;
    for (std::int64_t step = 0; step < steps; ++step) {
      const auto first = order.begin() + step * options.batch_size;
      const auto last = order.begin() + std::min((step + 1) * options.batch_size, P);
      const Tensor index =
          Tensor::from(std::vector<std::int64_t>(first, last), {last - first}, points.device());
      const double done = static_cast<double>(epoch * steps + step);
      optimizer->set_lr(
          options.lr * 0.5 *
          (1 + std::cos(std::numbers::pi * done / static_cast<double>(options.epochs * steps))));
      const Tensor error = mse(merged(gather_rows(points, index)), gather_rows(wanted, index));
      const double value = error.item();
      check(std::isfinite(value),
            "[distill] the loss is {} in epoch {}: the training has diverged; a smaller learning "
            "rate than {} may help",
            value, epoch + 1, options.lr);
      loss += value * static_cast<double>(last - first);
      optimizer->clear_gradients();
      error.backward();
      optimizer->step();
    }
    optimizer->clear_gradients();
    seconds += std::chrono::duration<double>(Clock::now() - start).count();
    const DistillationEpoch now{epoch + 1, loss / static_cast<double>(P), seconds};
    const bool more = !options.after_epoch || options.after_epoch(now, merged);
    start = Clock::now();
    if (!more || (options.most_seconds > 0 && seconds >= options.most_seconds)) break;
  }
}

}  // namespace understudy
