#include "coding/training.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/check.h"

namespace understudy {
namespace {

std::unique_ptr<Optimizer> make_optimizer(Module& half, const CodeTrainingOptions& options) {
  return make_adam(half.named_parameters(),
                   {.lr = options.lr, .weight_decay = options.weight_decay});
}

}  // namespace

std::int64_t default_groups_per_batch(int k) {
  if (k <= 2) return 64;
  return std::max<std::int64_t>(1, 160 / k);
}

CodeTrainer::CodeTrainer(LearnedCode& code, Module& base, std::vector<ErasurePattern> patterns,
                         const CodeTrainingOptions& options)
    : code_(code),
      base_(base),
      patterns_(std::move(patterns)),
      options_(options),
      encoder_optimizer_(make_optimizer(code.encoder(), options)),
      decoder_optimizer_(make_optimizer(code.decoder(), options)) {
  check(!patterns_.empty(), "[CodeTrainer] no pattern of missing answers to train for");
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
  const Reconstruction lost = simulate_losses(code_, base_, batch, erasures);
  return code_loss(options_.loss, lost.decoded, lost.target, lost.labels);
}

double CodeTrainer::step(const GroupBatch& batch) {
  encoder_optimizer_->clear_gradients();
  decoder_optimizer_->clear_gradients();
  const Tensor batch_loss = loss(batch);
  const double value = batch_loss.item();
  check(std::isfinite(value),
        "the loss became {}: training has diverged; try a smaller --lr or another --seed", value);
  batch_loss.backward();
  encoder_optimizer_->step();
  decoder_optimizer_->step();
  return value;
}

}  // namespace understudy
