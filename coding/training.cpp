#include "coding/training.h"

#include <cmath>
#include <utility>

#include "kernels/check.h"

namespace understudy {

CodeTrainer::CodeTrainer(TrainableCode& code, Module& base, std::vector<ErasurePattern> patterns,
                         const CodeTrainingOptions& options)
    : code_(code), base_(base), patterns_(std::move(patterns)), options_(options) {
  check(!patterns_.empty(), "[CodeTrainer] no pattern of missing answers to train for");
  for (const TrainableCode::Part& part : code.parts())
    optimizers_.push_back(
        {part.name, make_adam(part.module->named_parameters(),
                              {.lr = options.lr, .weight_decay = options.weight_decay})});
  base_.freeze();
  base_.eval();
  code_.train();
}

const Erasures& CodeTrainer::scenarios(std::int64_t groups, Device device) {
  const auto found = scenarios_.find(groups);
  if (found != scenarios_.end()) return found->second;
  Erasures erasures =
      Erasures::scenarios(code_.shape(), patterns_, groups, code_.most_losses(), device);
  return scenarios_.emplace(groups, std::move(erasures)).first->second;
}

Tensor CodeTrainer::loss(const GroupBatch& batch) {
  const Erasures& erasures = scenarios(batch.groups.size(0), batch.groups.device());
  return code_.training_loss(base_, batch, erasures, options_.loss);
}

void CodeTrainer::set_lr(double lr) {
  for (const PartOptimizer& each : optimizers_) each.optimizer->set_lr(lr);
}

void CodeTrainer::prepare_step() {
  for (const PartOptimizer& each : optimizers_) each.optimizer->prepare_step();
}

void CodeTrainer::update(const Tensor& loss) {
  for (const PartOptimizer& each : optimizers_) each.optimizer->clear_gradients();
  loss.backward();
  for (const PartOptimizer& each : optimizers_) each.optimizer->apply_step();
}

double CodeTrainer::step(const GroupBatch& batch) {
  const Tensor batch_loss = loss(batch);
  const double value = batch_loss.item();
  check(std::isfinite(value),
        "the loss became {}: training has diverged; try a smaller --lr or another --seed", value);
  prepare_step();
  update(batch_loss);
  return value;
}

}  // namespace understudy
