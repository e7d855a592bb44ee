#include "coding/merging/difference.h"

#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

double norm(const Tensor& x) { return std::sqrt(sum(square(x)).item()); }

Tensor in_double(const NamedTensor& named) { return cast(named.tensor.detach(), DType::f64); }

// Each value over the sum of that model's over all tensors.
void make_shares(std::vector<TensorDifference>& tensors,
                 std::vector<double> TensorDifference::*member) {
  if (tensors.empty()) return;
  for (std::size_t i = 0; i < (tensors[0].*member).size(); ++i) {
    double total = 0;
    for (const TensorDifference& tensor : tensors) total += (tensor.*member)[i];
    for (TensorDifference& tensor : tensors)
      (tensor.*member)[i] = total > 0 ? (tensor.*member)[i] / total : 0;
  }
}

}  // namespace

std::vector<TensorDifference> explain_difference(
    const std::vector<Module*>& models, Module* start,
    const std::vector<std::vector<NamedTensor>>& fishers) {
  check(fishers.empty() || fishers.size() == models.size(), "[merge] {} Fishers for {} models",
        fishers.size(), models.size());
  const NoGradGuard no_grad;
  std::vector<std::vector<NamedTensor>> parameters;
  for (Module* model : models) parameters.push_back(model->named_parameters());
  const std::vector<NamedTensor> origin =
      start ? start->named_parameters() : std::vector<NamedTensor>();
  std::vector<TensorDifference> tensors;
  for (std::size_t t = 0; t < parameters[0].size(); ++t) {
    TensorDifference tensor{.name = parameters[0][t].name,
                            .shape = parameters[0][t].tensor.shape()};
    Tensor mean;
    for (const auto& own : parameters) {
      const Tensor part = scale(in_double(own[t]), 1.0 / static_cast<double>(models.size()));
      mean = mean.defined() ? mean + part : part;
    }
    for (std::size_t i = 0; i < models.size(); ++i) {
      const Tensor theta = in_double(parameters[i][t]);
      tensor.size.push_back(norm(theta));
      tensor.from_mean.push_back(norm(theta - mean));
      if (start) tensor.from_start.push_back(norm(theta - in_double(origin[t])));
      if (fishers.empty()) continue;
      const Tensor fisher = in_double(fishers[i][t]);
      tensor.fisher_mass.push_back(sum(fisher).item());
      tensor.expected_error.push_back(sum(fisher * square(theta - mean)).item());
    }
    tensor.fisher_share = tensor.fisher_mass;
    tensors.push_back(std::move(tensor));
  }
  make_shares(tensors, &TensorDifference::fisher_share);
  make_shares(tensors, &TensorDifference::expected_error);
  return tensors;
}

}  // namespace understudy
