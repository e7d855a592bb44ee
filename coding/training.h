// Training a code: every scenario of a group in one batch, each part of the code with its own Adam,
// the base model frozen (arXiv 1806.01259; parity models likewise).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coding/losses.h"
#include "coding/simulate.h"
#include "coding/trainable_code.h"
#include "engine/optim/optimizer.h"

namespace understudy {

struct CodeTrainingOptions {
  CodeLoss loss = CodeLoss::mse_base;
  double lr = 1e-3;
  double weight_decay = 1e-5;  // L2, in the gradient
};

class CodeTrainer {
 public:
  // Borrows both. Freezes the base model and puts it into evaluation mode; its parameters are never
  // written. The code is put into training mode. `patterns`: what is simulated for every group;
  // standard_patterns(code).
  CodeTrainer(TrainableCode& code, Module& base, std::vector<ErasurePattern> patterns,
              const CodeTrainingOptions& options);

  // Of every optimiser, from the next step on.
  void set_lr(double lr);
  // One step of every optimiser; the loss before it. Error when that is not finite: the run has
  // diverged and nothing was changed.
  double step(const GroupBatch& batch);

  // The parts of a step, for work that is recorded and repeated (engine/repeated_step.h): what the
  // host does before each run, and, in the work, the loss of a batch and the step that follows
  // from it.
  void prepare_step();
  Tensor loss(const GroupBatch& batch);
  void update(const Tensor& loss);

  struct PartOptimizer {
    std::string part;  // of TrainableCode::parts(), in that order
    std::unique_ptr<Optimizer> optimizer;
  };
  const std::vector<PartOptimizer>& optimizers() const { return optimizers_; }

 private:
  const Erasures& scenarios(std::int64_t groups, Device device);

  TrainableCode& code_;
  Module& base_;
  std::vector<ErasurePattern> patterns_;
  CodeTrainingOptions options_;
  std::vector<PartOptimizer> optimizers_;
  std::map<std::int64_t, Erasures> scenarios_;  // by batch size: a full batch, and an epoch's last
};

}  // namespace understudy
