// The gradients of every layer's output, by the layers' side: what Fisher information is made of
// (coding/merging/fisher.h, K-FAC).
#pragma once

#include <span>

#include "coding/merging/fisher_kind.h"
#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

// What a layer did with a batch of N points.
struct TappedLayer {
  Module* module;
  Tensor input, output;  // (N, ...), without a graph
};

class OutputGradientVisitor {
 public:
  virtual ~OutputGradientVisitor() = default;
  // Whether the gradients of this module's outputs are to be told.
  virtual bool wants(const Module& module) const = 0;
  // For each batch: the layers that are wanted, in the order in which they ran. Valid until
  // end_batch().
  virtual void begin_batch(std::span<const TappedLayer> layers) = 0;
  // For each seed (fisher_kind.h), from the last layer to the first: dL/d(layer's result before its
  // activation), of the shape of its output; a ReLU fused into the layer has been gone through. Not
  // called for a layer that the logits do not depend on. Must not write to dy.
  virtual void gradient(std::size_t layer, const Tensor& dy) = 0;
  virtual void end_batch() = 0;
};

// Runs `model` on `inputs` (P, ...), in evaluation mode and with frozen parameters, batch by batch:
// forward once, backward once for each seed of options.kind. `labels` as FisherSeeds takes them.
//
// Layers are met through a LayerObserver, so that any model will do. Error for a wanted layer that a
// forward pass uses twice, and for two that share a tensor: sums over their samples are not those of
// their common gradient.
void for_each_output_gradient(Module& model, const Tensor& inputs, const FisherOptions& options,
                              const Tensor& labels, OutputGradientVisitor& visitor);

}  // namespace understudy
