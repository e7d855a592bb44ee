// Fits in closed form, from what a merge left: of the last layer, and of every layer in turn.
#include <algorithm>
#include <memory>

#include "coding/merging/layer_matrices.h"
#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/nn/linear.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// (Σ XᵀX + λI) Δ = Σ Xᵀ(Y − X W) over batches of inputs X (rows, J) and wanted outputs Y: the
// change Δ of a layer's W that brings its outputs nearest to Y. λ = ridge · mean diagonal of ΣXᵀX.
class RidgeFit {
 public:
  RidgeFit(const LayerMatrix& layer, double ridge)
      : layer_(layer), matrix_(layer.matrix()), ridge_(ridge) {}

  void add(const Tensor& input, const Tensor& wanted, double weight) {
    const Tensor x = cast(layer_.rows(input), DType::f64);
    const Tensor residual = wanted - matmul(x, transpose(matrix_));
    const Tensor scaled = scale(transpose(x), weight);
    accumulate(gram_, matmul(scaled, x));
    accumulate(moment_, matmul(scaled, residual));
  }
  void solve() {
    check(gram_.defined(), "[refit] no points");
    add_ridge(gram_, ridge_);
    layer_.set(matrix_ + transpose(solve_spd(gram_, moment_)));
  }

 private:
  static void accumulate(Tensor& total, const Tensor& part) {
    total = total.defined() ? total + part : part;
  }
  LayerMatrix layer_;
  Tensor matrix_;
  double ridge_;
  Tensor gram_, moment_;  // (J, J), (J, out)
};

constexpr std::int64_t batch_size = 128;

// Calls work(batch) for the points in batches.
template <class Work>
void in_batches(const Tensor& points, Work&& work) {
  for (std::int64_t begin = 0; begin < points.size(0); begin += batch_size)
    work(contiguous(slice(points, 0, begin, std::min(begin + batch_size, points.size(0)))));
}

// The input of layer number `wanted` while the network runs.
Tensor input_of(Module& model, const Tensor& batch, std::size_t wanted) {
  Tensor found;
  for_each_layer_input(
      model, batch,
      [&](std::size_t layer, Module&, const Tensor& input) {
        if (layer == wanted) found = input;
      },
      batch.size(0));
  return found;
}

class EvaluationOfAll {
 public:
  explicit EvaluationOfAll(const std::vector<Module*>& models) {
    for (Module* model : models) guards_.push_back(std::make_unique<EvaluationGuard>(*model));
  }

 private:
  std::vector<std::unique_ptr<EvaluationGuard>> guards_;
};

// Σ β_i f_i(batch), (N, C), in double.
Tensor wanted_outputs(const MergeProblem& problem, const Tensor& batch) {
  Tensor wanted;
  for (std::size_t i = 0; i < problem.models.size(); ++i) {
    if (problem.weights[i] == 0) continue;
    const Tensor part = scale(cast((*problem.models[i])(batch), DType::f64), problem.weights[i]);
    wanted = wanted.defined() ? wanted + part : part;
  }
  return wanted;
}

}  // namespace

void refit_last_layer(const MergeProblem& problem, Module& merged) {
  const NoGradGuard no_grad;
  const EvaluationOfAll evaluation(problem.models);
  const std::vector<Module*> layers = layers_in_order(merged, problem.points[0]);
  const auto* head = layers.empty() ? nullptr : dynamic_cast<const Linear*>(layers.back());
  check(head && head->activation == Activation::none,
        "[refit] the network does not end in a linear layer without activation");
  RidgeFit fit(LayerMatrix(*layers.back()), problem.ridge);
  for (const Tensor& points : problem.points)
    in_batches(points, [&](const Tensor& batch) {
      const Tensor wanted = wanted_outputs(problem, batch);
      check(wanted.size(1) == head->out(),
            "[refit] the last layer that ran gives {} values and the network {}", head->out(),
            wanted.size(1));
      fit.add(input_of(merged, batch, layers.size() - 1), wanted, 1);
    });
  fit.solve();
}

void refit_all_layers(const MergeProblem& problem, Module& merged) {
  const NoGradGuard no_grad;
  const EvaluationOfAll evaluation(problem.models);
  const std::vector<Module*> layers = layers_in_order(merged, problem.points[0]);
  std::vector<std::vector<Module*>> others;
  for (Module* model : problem.models) others.push_back(layers_in_order(*model, problem.points[0]));
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    RidgeFit fit(LayerMatrix(*layers[l]), problem.ridge);
    for (std::size_t i = 0; i < problem.models.size(); ++i) {
      if (problem.weights[i] == 0) continue;
      const LayerMatrix own(*others[i][l]);
      const Tensor matrix = own.matrix();
      in_batches(problem.points[i], [&](const Tensor& batch) {
        const Tensor given = input_of(*problem.models[i], batch, l);
        fit.add(input_of(merged, batch, l), LayerMatrix::products(own.rows(given), matrix),
                problem.weights[i]);
      });
    }
    fit.solve();
  }
  refit_last_layer(problem, merged);
}

}  // namespace understudy
