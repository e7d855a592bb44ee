// The diagonal Fisher information of one layer, by its kind.
#pragma once

#include <memory>
#include <vector>

#include "engine/nn/module.h"

namespace understudy {

// Sums the squared gradients of a layer's parameters over samples and seeds; nothing is kept per
// sample.
class LayerFisher {
 public:
  virtual ~LayerFisher() = default;
  // For each batch: what the layer was given, then dL/d(result before the activation), a row for
  // each sample, for each seed that reaches it.
  virtual void begin_batch(const Tensor& input) = 0;
  virtual void add(const Tensor& dy) = 0;
  virtual void end_batch() = 0;
  // Undefined where nothing was added; in the order of the module's parameters.
  virtual std::vector<Tensor> sums() const = 0;
};

// That there is a rule for the layer's kind, by which its parameters' gradients are known.
bool has_layer_fisher(const Module& module);
// Error for a module without one.
std::unique_ptr<LayerFisher> make_layer_fisher(Module& module);

}  // namespace understudy
