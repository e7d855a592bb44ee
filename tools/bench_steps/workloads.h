// The steps that bench_steps times and tools/compare_pytorch.py repeats in PyTorch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "engine/random.h"

namespace understudy {

// A model, its batch, its optimiser where it is trained, and one step of them.
struct Workload {
  virtual ~Workload() = default;
  // What the host does before each run of the work: an optimiser's values.
  virtual void prepare() {}
  // The step. It reads no values, so that it can be recorded (engine/repeated_step.h).
  virtual void work() = 0;
  virtual bool can_be_recorded() const { return true; }
  // Of the last step: the loss before the update; of inference the mean square of the logits, of
  // Fisher information its trace.
  double result() const { return result_.item(); }
  // All that a step reads or changes, by the names of the problem file: parameters
  // "model.0.weight", the batch "images", of inference also "logits", of Fisher information
  // "fisher.conv1.weight". To be overwritten by a file's values, and written out after a step.
  virtual std::vector<NamedTensor> tensors() = 0;

 protected:
  Tensor result_;
};

std::vector<std::string> workload_names();
// Drawn on the CPU, whatever the device.
std::unique_ptr<Workload> make_workload(const std::string& name, Generator& generator,
                                        Device device = {});

}  // namespace understudy
