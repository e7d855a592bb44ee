// Training a learned code (arXiv 1806.01259): every scenario of a group in one batch, encoder and
// decoder each with its Adam, the base model frozen between them.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "coding/learned/learned_code.h"
#include "coding/losses.h"
#include "coding/simulate.h"
#include "engine/optim/optimizer.h"

namespace understudy {

struct CodeTrainingOptions {
  CodeLoss loss = CodeLoss::mse_base;
  double lr = 1e-3;
  double weight_decay = 1e-5;  // L2, in the gradient
};

// 64 groups for k = 2 and 32 for k = 5 were published; between them, and beyond, whole groups that
// make about the same 128 to 160 images.
std::int64_t default_groups_per_batch(int k);

class CodeTrainer {
 public:
  // Borrows both. Freezes the base model and puts it into evaluation mode; its parameters are never
  // written. `patterns`: what is simulated for every group; standard_patterns(code).
  CodeTrainer(LearnedCode& code, Module& base, std::vector<ErasurePattern> patterns,
              const CodeTrainingOptions& options);

  // The loss of the batch, recorded.
  Tensor loss(const GroupBatch& batch);
  // One step of both optimisers; the loss before it. Error when that is not finite: the run has
  // diverged and nothing was changed.
  double step(const GroupBatch& batch);

  Optimizer& encoder_optimizer() { return *encoder_optimizer_; }
  Optimizer& decoder_optimizer() { return *decoder_optimizer_; }

 private:
  const Erasures& scenarios(std::int64_t groups, Device device);

  LearnedCode& code_;
  Module& base_;
  std::vector<ErasurePattern> patterns_;
  CodeTrainingOptions options_;
  std::unique_ptr<Optimizer> encoder_optimizer_, decoder_optimizer_;
  std::map<std::int64_t, Erasures> scenarios_;  // by batch size: a full batch, and an epoch's last
};

}  // namespace understudy
