// Ensemble distillation: training the coded network on the points, for comparison with the merges
// that do not train.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/nn/module.h"
#include "engine/repeated_step.h"
#include "engine/tensor.h"

namespace understudy {

struct MergeProblem;

struct DistillationEpoch {
  std::int64_t epoch = 0;  // 1 is the first
  double loss = 0;  // mean of ‖f_θ − Σ β_i f_i‖² over the points and classes, while training
  double seconds = 0;  // of distilling so far, without what `after_epoch` takes
};

struct DistillationOptions {
  std::int64_t epochs = 50;
  std::int64_t batch_size = 64;
  double lr = 1e-3;       // of Adam, falling to 0 as a cosine
  std::int64_t seed = 0;  // of the order of the points
  StepMode step_mode = StepMode::recorded;
  double most_seconds = 0;  // ends after the epoch that reaches it; 0: no limit
  // Called with the network after each epoch, for a curve. Returns false to stop.
  std::function<bool(const DistillationEpoch& epoch, Module& merged)> after_epoch;
};

// Minimises E‖f_θ(x) − Σ β_i f_i(x)‖² over the points of all tasks by Adam, from what `merged` is:
// the plain average, or another method's result. The models' answers are computed once. Batch norms
// keep the statistics that they have. Error after an epoch whose loss is not finite.
void distill(const MergeProblem& problem, Module& merged);

}  // namespace understudy
