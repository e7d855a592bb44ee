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
  // What a step reads and adds to, always in the same memory, so that it can be recorded.
  const Device device = points.device();
  Tensor whole = Tensor::zeros({std::min(options.batch_size, P)}, DType::i64, device);
  Tensor rest = Tensor::zeros({P % options.batch_size}, DType::i64, device);
  Tensor loss = Tensor::zeros({}, DType::f64, device);
  const auto step_on = [&](const Tensor& index) {
    return [&, index] {
      const Tensor error = mse(merged(gather_rows(points, index)), gather_rows(wanted, index));
      optimizer->clear_gradients();
      error.backward();
      optimizer->apply_step();
      const NoGradGuard no_grad;
      loss.copy_(loss + cast(error, DType::f64) * static_cast<double>(index.count()));
    };
  };
  RepeatedStep whole_step(device, options.step_mode, step_on(whole));
  RepeatedStep short_step(device, options.step_mode, step_on(rest));
  for (std::int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const std::vector<std::int64_t> order = generator.permutation(P);
    loss.fill_(0);
    for (std::int64_t step = 0; step < steps; ++step) {
      const auto first = order.begin() + step * options.batch_size;
      const auto last = order.begin() + std::min((step + 1) * options.batch_size, P);
      const bool is_whole = last - first == whole.count();
      (is_whole ? whole : rest)
          .copy_(Tensor::from(std::vector<std::int64_t>(first, last), {last - first}));
      const double done = static_cast<double>(epoch * steps + step);
      optimizer->set_lr(
          options.lr * 0.5 *
          (1 + std::cos(std::numbers::pi * done / static_cast<double>(options.epochs * steps))));
      optimizer->prepare_step();
      (is_whole ? whole_step : short_step).run();
    }
    const double epoch_loss = loss.item() / static_cast<double>(P);
    check(std::isfinite(epoch_loss),
          "[distill] the loss is {} in epoch {}: the training has diverged; a smaller learning "
          "rate than {} may help",
          epoch_loss, epoch + 1, options.lr);
    optimizer->clear_gradients();
    seconds += std::chrono::duration<double>(Clock::now() - start).count();
    const DistillationEpoch now{epoch + 1, epoch_loss, seconds};
    const bool more = !options.after_epoch || options.after_epoch(now, merged);
    start = Clock::now();
    if (!more || (options.most_seconds > 0 && seconds >= options.most_seconds)) break;
  }
}

}  // namespace understudy
