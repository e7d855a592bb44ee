// Workers that do not answer, played through on data.
#pragma once

#include <memory>
#include <vector>

#include "coding/erasures.h"
#include "coding/query_code.h"
#include "datasets/dataset.h"
#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

// The logits of `model` for every image of `dataset`, (N, classes), without recording and in
// evaluation mode (the mode it had is put back). Computed once and looked up: the base model is
// frozen, and most of its work in training a code would be these.
Tensor all_outputs(Module& model, const Dataset& dataset, std::int64_t batch_size = 500);

// What a batch of G groups of k images is to a code.
struct GroupBatch {
  Tensor groups;        // float (G, k, H, W, C)
  Tensor data_outputs;  // (G, k, classes): the base model's answers F(x)
  Tensor labels;        // i64 (G, k)
};
// images (G·k, H, W, C), outputs (G·k, classes), labels (G·k): k in a row are a group.
GroupBatch as_groups(const Tensor& images, const Tensor& outputs, const Tensor& labels, int k);

// Evaluation mode of the base model, of the code where it is a module, and of its parity models, in
// the scope; then each module is in the mode it was in before.
class CodeEvaluationGuard {
 public:
  CodeEvaluationGuard(QueryCode& code, Module& base);
  explicit CodeEvaluationGuard(QueryCode& code);

 private:
  void add(Module* module);
  std::vector<std::unique_ptr<EvaluationGuard>> guards_;
};

// How many of a group's k answers are reconstructions under `pattern`: those of the missing data
// units, and all k of a code that is not systematic.
int reconstructed_rows(const QueryCode& code, const ErasurePattern& pattern);

// The L reconstructed answers of a batch, all scenarios of all groups.
struct Reconstruction {
  Tensor decoded;  // (L, classes)
  Tensor target;   // (L, classes): what the base model would have answered
  Tensor labels;   // i64 (L)
};

// Every group of the batch under every pattern: erasures = Erasures::scenarios(patterns, G), S per
// group. Rows come in the order group, pattern, unit, reconstructed_rows() of each. Gradients flow
// back to the code.
Reconstruction simulate_losses(QueryCode& code, Module& base, const GroupBatch& batch,
                               const Erasures& scenarios);
// The same as a service would see it, by QueryCode::answer: what could not be recovered is NaN.
Reconstruction simulate_service(QueryCode& code, Module& base, const GroupBatch& batch,
                                const Erasures& scenarios);

}  // namespace understudy
