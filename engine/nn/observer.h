// Watching a network from outside while it runs.
#pragma once

#include "engine/nn/module.h"

namespace understudy {

// While one exists, every module that this thread runs as `module(x)` reports to it: what
// the methods need that look at a layer's inputs or at the gradients of its outputs
// (Fisher information, features, batch statistics), without a word about them in any
// model. The newest one is told.
class LayerObserver {
 public:
  LayerObserver();
  virtual ~LayerObserver();
  LayerObserver(const LayerObserver&) = delete;
  LayerObserver& operator=(const LayerObserver&) = delete;

  // After output = module.forward(input), children before their parent. The caller of `module` gets
  // what this returns: `output`, or a tensor of its shape in its place.
  virtual Tensor observe(Module& module, const Tensor& input, const Tensor& output) = 0;

  static LayerObserver* current();  // null when nobody watches

 private:
  LayerObserver* before_;
};

}  // namespace understudy
