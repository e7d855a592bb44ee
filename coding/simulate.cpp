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
  const bool was_training = model.training();
  model.eval();
  const Tensor all = Tensor::arange(dataset.size(), DType::i64, dataset.images.device());
  std::vector<Tensor> parts;
  for (std::int64_t begin = 0; begin < dataset.size(); begin += batch_size) {
    const Tensor index = slice(all, 0, begin, std::min(begin + batch_size, dataset.size()));
    parts.push_back(model(images_at(dataset, index)));
  }
  model.train(was_training);
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

Reconstruction simulate_losses(QueryCode& code, Module& base, const GroupBatch& batch,
                               const Erasures& scenarios) {
  const std::int64_t G = batch.groups.size(0), k = code.shape().k, units = code.shape().units();
  check(G > 0 && scenarios.groups() % G == 0,
        "[simulate_losses] {} scenarios cannot be shared by {} groups", scenarios.groups(), G);
  const std::int64_t S = scenarios.groups() / G;
  const std::int64_t classes = batch.data_outputs.size(2);

  const Tensor outputs = ask_workers(code, base, batch.groups, batch.data_outputs);
  // Every scenario sees the same answers; the mask takes away what it misses.
  const Tensor repeated =
      reshape(broadcast_to(reshape(outputs, {G, 1, units, classes}), {G, S, units, classes}),
              {G * S, units, classes});
  const Tensor decoded = code.decode(repeated, scenarios);

  // (G, 1, k, …) → the L lost rows of (G·S·k, …).
  const auto lost_of = [&](const Tensor& per_unit, const Shape& repeated_shape, const Shape& rows) {
    return gather_rows(reshape(broadcast_to(per_unit, repeated_shape), rows),
                       scenarios.lost_rows());
  };
  Reconstruction lost;
  lost.decoded = gather_rows(reshape(decoded, {G * S * k, classes}), scenarios.lost_rows());
  lost.target = lost_of(reshape(batch.data_outputs, {G, 1, k, classes}), {G, S, k, classes},
                        {G * S * k, classes});
  lost.labels = lost_of(reshape(batch.labels, {G, 1, k}), {G, S, k}, {G * S * k});
  return lost;
}

}  // namespace understudy
