// The distributions p(y|x) whose Fisher information can be asked for, and what each sends back from
// the logits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace understudy {

enum class FisherKind {
  // p(y|x) = N(f(x), I): F = E_x Σ_c (∂f_c/∂θ)². Needs no labels. COIN's (arXiv 2409.01420).
  gaussian,
  // p(y|x) = softmax(f(x)): F = E_x Σ_c p_c (∂ log p_c/∂θ)², the exact expectation over labels.
  classification,
  // The same with one label for each point, drawn from p(y|x): right in the mean, one backward pass.
  sampled,
  // F = E_(x,y) (∂ log p_y/∂θ)² at the labels of the data: no Fisher information where the model is
  // wrong, and small where it is right (Kunstner, Balles and Hennig 2019).
  empirical,
};
FisherKind fisher_kind(const std::string& name);  // UsageError for an unknown one
const char* to_string(FisherKind kind);
std::vector<std::string> fisher_kind_names();

struct FisherOptions {
  FisherKind kind = FisherKind::gaussian;
  std::int64_t batch_size = 32;  // points at once: memory, and rounding
  std::uint64_t seed = 0;        // of the labels that `sampled` draws
};

// What is sent back from the logits, so that the squares of the gradients of a parameter, summed
// over the seeds, are the Fisher information of a point: e_c for each class (gaussian), √p_c
// (e_c − p) for each class (classification), e_y − p for a label y (sampled, empirical).
class FisherSeeds {
 public:
  // `labels` i64 (P) for the empirical kind, looked at by no other. Error where they are missing or
  // not as many as points.
  FisherSeeds(const FisherOptions& options, std::int64_t points, const Tensor& labels);
  // Those of the batch whose first point is `first`: (N, C) each, like the logits. Error that names
  // the first label outside of the classes.
  std::vector<Tensor> of_batch(std::int64_t first, const Tensor& logits) const;

 private:
  std::int64_t label(std::int64_t point, const double* p, std::int64_t classes) const;

  FisherKind kind_;
  std::vector<std::int64_t> labels_;  // of every point: empirical
  std::vector<double> draws_;         // in [0, 1), of every point: sampled
};

}  // namespace understudy
