#include "coding/simulate.h"

#include <algorithm>
#include <vector>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

Tensor all_outputs(Module& model, const Dataset& dataset, std::int64_t batch_size) {
  check(batch_size >= 1, "[all_outputs] batch size {}", batch_size);
  NoGradGuard no_grad;
  const EvaluationGuard evaluation(model);
  const Tensor all = Tensor::arange(dataset.size(), DType::i64, dataset.images.device());
  std::vector<Tensor> parts;
  for (std::int64_t begin = 0; begin < dataset.size(); begin += batch_size) {
    const Tensor index = slice(all, 0, begin, std::min(begin + batch_size, dataset.size()));
    parts.push_back(model(images_at(dataset, index)));
  }
  check(!parts.empty(), "[all_outputs] {} has no images", dataset.name);
  return concat(parts, 0);
}

GroupBatch as_groups(const Tensor& images, const Tensor& outputs, const Tensor& labels, int k) {
  check(images.rank() == 4 && images.size(0) % k == 0 && outputs.rank() == 2 &&
            outputs.size(0) == images.size(0) && labels.shape() == Shape{images.size(0)},
        "[as_groups] images {}, outputs {} and labels {} are not whole groups of {}",
        to_string(images.shape()), to_string(outputs.shape()), to_string(labels.shape()), k);
  const std::int64_t G = images.size(0) / k;
  return {reshape(images, {G, k, images.size(1), images.size(2), images.size(3)}),
          reshape(outputs, {G, k, outputs.size(1)}), reshape(labels, {G, k})};
}

CodeEvaluationGuard::CodeEvaluationGuard(QueryCode& code, Module& base)
    : CodeEvaluationGuard(code) {
  add(&base);
}

CodeEvaluationGuard::CodeEvaluationGuard(QueryCode& code) {
  add(dynamic_cast<Module*>(&code));
  for (int m = 0; m < code.shape().r; ++m) add(code.parity_model(m));
}

// A module that is added twice is in evaluation mode the second time: nothing is put back twice.
void CodeEvaluationGuard::add(Module* module) {
  if (module) guards_.push_back(std::make_unique<EvaluationGuard>(*module));
}

int reconstructed_rows(const QueryCode& code, const ErasurePattern& pattern) {
  const int k = code.shape().k;
  return code.systematic() ? static_cast<int>(pattern.lost_data(k).size()) : k;
}

namespace {

// `decode`: (outputs (G·S, k+r, classes), scenarios) → (G·S, k, classes)
template <class Decode>
Reconstruction reconstruct(QueryCode& code, Module& base, const GroupBatch& batch,
                           const Erasures& scenarios, Decode decode) {
  const std::int64_t G = batch.groups.size(0), k = code.shape().k, units = code.shape().units();
  check(G > 0 && scenarios.groups() % G == 0,
        "[simulate] {} scenarios cannot be shared by {} groups", scenarios.groups(), G);
  const std::int64_t S = scenarios.groups() / G;
  const std::int64_t classes = batch.data_outputs.size(2);

  const Tensor outputs = ask_workers(code, base, batch.groups, batch.data_outputs);
  // Every scenario sees the same answers; the mask takes away what it misses.
  const Tensor repeated =
      reshape(broadcast_to(reshape(outputs, {G, 1, units, classes}), {G, S, units, classes}),
              {G * S, units, classes});
  const Tensor decoded = decode(repeated, scenarios);

  const Tensor rows_of_lost = code.systematic()
                                  ? scenarios.lost_rows()
                                  : Tensor::arange(G * S * k, DType::i64, batch.groups.device());
  // (G, 1, k, …) → the L reconstructed rows of (G·S·k, …).
  const auto lost_of = [&](const Tensor& per_unit, const Shape& repeated_shape, const Shape& rows) {
    return gather_rows(reshape(broadcast_to(per_unit, repeated_shape), rows), rows_of_lost);
  };
  Reconstruction lost;
  lost.decoded = gather_rows(reshape(decoded, {G * S * k, classes}), rows_of_lost);
  lost.target = lost_of(reshape(batch.data_outputs, {G, 1, k, classes}), {G, S, k, classes},
                        {G * S * k, classes});
  lost.labels = lost_of(reshape(batch.labels, {G, 1, k}), {G, S, k}, {G * S * k});
  return lost;
}

}  // namespace

Reconstruction simulate_losses(QueryCode& code, Module& base, const GroupBatch& batch,
                               const Erasures& scenarios) {
  return reconstruct(code, base, batch, scenarios,
                     [&](const Tensor& outputs, const Erasures& erasures) {
                       return code.decode(outputs, erasures);
                     });
}

Reconstruction simulate_service(QueryCode& code, Module& base, const GroupBatch& batch,
                                const Erasures& scenarios) {
  return reconstruct(code, base, batch, scenarios,
                     [&](const Tensor& outputs, const Erasures& erasures) {
                       return code.answer(outputs, erasures.patterns());
                     });
}

}  // namespace understudy
