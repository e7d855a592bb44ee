// The merge by Kronecker-factored Fisher information: unlike its diagonal it knows which inputs of
// a layer come together, and which outputs.
#include <cmath>

#include "coding/merging/layer_matrices.h"
#include "coding/merging/merge.h"
#include "coding/merging/output_gradients.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// F ≈ A ⊗ B of a layer, both f64.
struct Factors {
  Tensor inputs;   // A (J, J) = Σ xxᵀ / P
  Tensor outputs;  // B (out, out) = Σ δδᵀ / P, over the seeds, points and output pixels
};

void accumulate(Tensor& total, const Tensor& rows) {
  const Tensor part = cast(matmul(transpose(rows), rows), DType::f64);
  total = total.defined() ? total + part : part;
}

class FactorSums : public OutputGradientVisitor {
 public:
  bool wants(const Module& module) const override { return LayerMatrix::fits(module); }
  void begin_batch(std::span<const TappedLayer> layers) override {
    factors.resize(layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l)
      accumulate(factors[l].inputs, LayerMatrix(*layers[l].module).rows(layers[l].input));
  }
  void gradient(std::size_t layer, const Tensor& dy) override {
    const Shape& shape = dy.shape();
    accumulate(factors[layer].outputs, reshape(dy, {-1, shape[shape.rank() - 1]}));
  }
  void end_batch() override {}

  std::vector<Factors> factors;  // of the layers in the order in which they run
};

double dot(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }

// Diagonal of a square matrix, as a view.
Tensor diagonal(const Tensor& a) { return a.alias({a.size(0)}, {a.size(0) + 1}); }

// Σ β_i B_i · D · A_i of a layer, and its solution for D.
class KroneckerSum {
 public:
  void add(const Factors& factors, double weight) {
    terms_.push_back({.inputs = factors.inputs, .outputs = scale(factors.outputs, weight)});
    const std::int64_t out = factors.outputs.size(0);
    const Tensor part =
        reshape(diagonal(terms_.back().outputs), {out, 1}) * diagonal(terms_.back().inputs);
    diagonal_ = diagonal_.defined() ? diagonal_ + part : part;
  }
  Tensor apply(const Tensor& d) const {
    Tensor total;
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      const Tensor part = term(i, d);
      total = total.defined() ? total + part : part;
    }
    return total;
  }
  Tensor term(std::size_t i, const Tensor& d) const {
    return matmul(matmul(terms_[i].outputs, d), terms_[i].inputs);
  }
  // Conjugate gradients from 0, preconditioned by the diagonal.
  Tensor solve(const Tensor& right) const {
    constexpr int most_steps = 60;
    constexpr double tolerance = 1e-3;  // of the residual, relative
    const Tensor known = greater(diagonal_, scale(mean(diagonal_), 1e-9));
    const Tensor one = Tensor::ones({1}, DType::f64, right.device());
    const Tensor precondition = where(known, one / where(known, diagonal_, one), scale(one, 0));
    Tensor x = scale(right, 0), residual = right, z = precondition * residual, direction = z;
    double rho = dot(residual, z);
    const double enough = tolerance * tolerance * rho;
    for (int step = 0; step < most_steps && rho > enough; ++step) {
      const Tensor image = apply(direction);
      const double curvature = dot(direction, image);
      if (!(curvature > 0)) break;
      const double length = rho / curvature;
      x = x + scale(direction, length);
      residual = residual - scale(image, length);
      z = precondition * residual;
      const double next = dot(residual, z);
      direction = z + scale(direction, next / rho);
      rho = next;
    }
    return x;
  }

 private:
  std::vector<Factors> terms_;  // β_i in the outputs' factor
  Tensor diagonal_;             // (out, J)
};

}  // namespace

void kfac_merge(const MergeProblem& problem, Module& merged) {
  const bool labels = problem.fisher.kind == FisherKind::empirical;
  check(!labels || problem.labels.size() == problem.models.size(),
        "[merge] the empirical Fisher needs labels of every task: {} for {} models",
        problem.labels.size(), problem.models.size());
  const Tensor all = problem.pooled ? concat(problem.points, 0) : Tensor();
  const Tensor all_labels = problem.pooled && labels ? concat(problem.labels, 0) : Tensor();
  const std::vector<Module*> target = layers_in_order(merged, problem.points[0]);
  std::vector<KroneckerSum> sums(target.size());
  std::vector<std::vector<Tensor>> matrices(target.size());  // [layer][model]
  for (std::size_t i = 0; i < problem.models.size(); ++i) {
    if (problem.weights[i] == 0) continue;
    const Tensor& points = problem.pooled ? all : problem.points[i];
    FactorSums factors;
    for_each_output_gradient(*problem.models[i], points, problem.fisher,
                             problem.pooled ? all_labels
                             : labels       ? problem.labels[i]
                                            : Tensor(),
                             factors);
    const NoGradGuard no_grad;
    const std::vector<Module*> layers = layers_in_order(*problem.models[i], problem.points[0]);
    check(layers.size() == target.size() && factors.factors.size() == target.size(),
          "[kfac] model {} runs {} layers and the merged one {}", i + 1, layers.size(),
          target.size());
    const double share = 1.0 / static_cast<double>(points.size(0));
    for (std::size_t l = 0; l < target.size(); ++l) {
      Factors& own = factors.factors[l];
      if (!own.outputs.defined()) continue;  // the answer does not depend on this layer
      own.inputs = scale(own.inputs, share);
      own.outputs = scale(own.outputs, share);
      add_ridge(own.inputs, problem.kfac_damping);
      add_ridge(own.outputs, problem.kfac_damping);
      sums[l].add(own, problem.weights[i]);
      matrices[l].push_back(LayerMatrix(*layers[l]).matrix());
    }
  }
  const NoGradGuard no_grad;
  for (std::size_t l = 0; l < target.size(); ++l) {
    if (matrices[l].empty()) continue;
    const LayerMatrix layer(*target[l]);
    const Tensor there = layer.matrix();
    Tensor right = scale(there, 0);
    for (std::size_t i = 0; i < matrices[l].size(); ++i)
      right = right + sums[l].term(i, matrices[l][i] - there);
    layer.set(there + sums[l].solve(right));
  }
}

}  // namespace understudy
