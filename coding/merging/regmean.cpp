// RegMean: each layer of the merged network gives, on the inputs that it had in the models, what it
// gave there, in the least squares sense.
#include "coding/merging/layer_matrices.h"
#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// G = XᵀX / P of the inputs of each layer that `wanted` has, in their order; products in the
// network's precision, their sum over the batches in double. Undefined for the others.
std::vector<Tensor> gram_matrices(Module& model, const Tensor& points,
                                  const std::vector<bool>& wanted) {
  std::vector<Tensor> grams(wanted.size());
  for_each_layer_input(model, points, [&](std::size_t layer, Module& module, const Tensor& input) {
    if (!wanted[layer]) return;
    const Tensor x = LayerMatrix(module).rows(input);
    const Tensor gram = cast(matmul(transpose(x), x), DType::f64);
    grams[layer] = grams[layer].defined() ? grams[layer] + gram : gram;
  });
  for (Tensor& gram : grams)
    if (gram.defined()) gram = scale(gram, 1.0 / static_cast<double>(points.size(0)));
  return grams;
}

void merge_layers(const MergeProblem& problem, Module& merged, bool convolutions) {
  const NoGradGuard no_grad;
  const Tensor all = problem.pooled ? concat(problem.points, 0) : Tensor();
  const Tensor& sample = problem.points[0];
  const std::vector<Module*> target = layers_in_order(merged, sample);
  std::vector<bool> wanted;
  for (Module* layer : target) wanted.push_back(convolutions || !LayerMatrix(*layer).convolution());
  std::vector<Tensor> total(target.size()), moment(target.size());  // Σ β G̃, Σ β W G̃
  for (std::size_t i = 0; i < problem.models.size(); ++i) {
    const std::vector<Module*> layers = layers_in_order(*problem.models[i], sample);
    const std::vector<Tensor> grams =
        gram_matrices(*problem.models[i], problem.pooled ? all : problem.points[i], wanted);
    for (std::size_t l = 0; l < target.size(); ++l) {
      if (!wanted[l]) continue;
      const Tensor gram =
          scale(scaled_off_diagonal(grams[l], problem.off_diagonal), problem.weights[i]);
      const Tensor part = matmul(LayerMatrix(*layers[l]).matrix(), gram);
      total[l] = i == 0 ? gram : total[l] + gram;
      moment[l] = i == 0 ? part : moment[l] + part;
    }
  }
  for (std::size_t l = 0; l < target.size(); ++l) {
    if (!wanted[l]) continue;
    const LayerMatrix layer(*target[l]);
    // Solved for the difference from the average, so that an input that is always 0, about which
    // nothing is known, keeps the average of its weights.
    const Tensor there = layer.matrix();
    Tensor rest = contiguous(transpose(moment[l] - matmul(there, total[l])));
    add_ridge(total[l], 1e-6);
    layer.set(there + transpose(solve_spd(total[l], rest)));
  }
}

}  // namespace

void regmean_merge(const MergeProblem& problem, Module& merged) {
  merge_layers(problem, merged, false);
}

void regmean_convolution_merge(const MergeProblem& problem, Module& merged) {
  merge_layers(problem, merged, true);
}

}  // namespace understudy
