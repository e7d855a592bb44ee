// Last-layer refit: the merged body stays, its head is solved for.
#include <algorithm>
#include <memory>

#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/nn/linear.h"
#include "engine/nn/observer.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Remembers the last linear layer that ran, and what it was given: the features.
class LastLinear : public LayerObserver {
 public:
  Tensor observe(Module& module, const Tensor& input, const Tensor& output) override {
    if (auto* linear = dynamic_cast<Linear*>(&module)) {
      layer = linear;
      features = input;
    }
    return output;
  }
  Linear* layer = nullptr;
  Tensor features;
};

// The same features with a column of ones after them, for the bias, in double.
Tensor with_ones(const Tensor& features, bool bias) {
  const Tensor x = cast(features, DType::f64);
  if (!bias) return x;
  return concat({x, Tensor::ones({x.size(0), 1}, DType::f64, x.device())}, 1);
}

void accumulate(Tensor& total, const Tensor& part) {
  total = total.defined() ? total + part : part;
}

}  // namespace

// With features Φ (P, d+1) of the merged body and residual E = Σ β_i f_i − f_merged (P, C):
// (ΦᵀΦ + λI) Δ = ΦᵀE, and Δ is added to the head. λ = ridge · mean diagonal of ΦᵀΦ.
void refit_last_layer(const MergeProblem& problem, Module& merged) {
  check(problem.points.size() == problem.models.size(), "[refit] points of {} tasks for {} models",
        problem.points.size(), problem.models.size());
  NoGradGuard no_grad;
  std::vector<std::unique_ptr<EvaluationGuard>> evaluation;
  for (Module* model : problem.models)
    evaluation.push_back(std::make_unique<EvaluationGuard>(*model));
  const EvaluationGuard merged_evaluation(merged);
  constexpr std::int64_t batch_size = 500;
  Linear* head = nullptr;
  Tensor gram, moment;  // ΦᵀΦ (d+1, d+1), ΦᵀE (d+1, C)
  for (const Tensor& points : problem.points) {
    for (std::int64_t begin = 0; begin < points.size(0); begin += batch_size) {
      const Tensor batch =
          contiguous(slice(points, 0, begin, std::min(begin + batch_size, points.size(0))));
      LastLinear last;
      const Tensor have = merged(batch);
      check(last.layer && last.layer->activation == Activation::none && last.features.rank() == 2 &&
                last.layer->out() == have.size(1),
            "[refit] the network does not end in a linear layer without activation");
      head = last.layer;
      const Tensor phi = with_ones(last.features, head->bias.defined());
      Tensor residual = neg(cast(have, DType::f64));
      for (std::size_t i = 0; i < problem.models.size(); ++i)
        residual =
            residual + scale(cast((*problem.models[i])(batch), DType::f64), problem.weights[i]);
      accumulate(gram, matmul(transpose(phi), phi));
      accumulate(moment, matmul(transpose(phi), residual));
    }
  }
  check(head != nullptr, "[refit] no points");

  const std::int64_t n = gram.size(0);
  Tensor diagonal = gram.alias({n}, {n + 1});  // a view: one step down and one to the right
  const double level = problem.ridge * mean(diagonal).item();
  diagonal.copy_(shift(diagonal, std::max(level, 1e-12)));
  const Tensor delta = solve_spd(gram, moment);
  const std::int64_t d = head->in();
  Tensor weight = head->weight.detach();
  weight.copy_(cast(weight, DType::f64) + transpose(slice(delta, 0, 0, d)));
  if (head->bias.defined()) {
    Tensor bias = head->bias.detach();
    bias.copy_(cast(bias, DType::f64) + select(delta, 0, d));
  }
}

}  // namespace understudy
