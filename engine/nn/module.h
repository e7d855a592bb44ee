// Networks are plain structs with named members. `members` lists them once; parameter paths
// ("layer1.0.conv1.weight", as in PyTorch), state dicts, freezing and counting follow from it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace understudy {

class Module;

// A parameter is trained; a buffer is state that is saved with the parameters but not trained.
enum class MemberKind { parameter, buffer };

// The order of a member's axes. A convolution's weight is (K, R, S, C) here and (K, C, R, S) in the
// files of PyTorch (engine/nn/pytorch_state.h).
enum class WeightLayout { plain, convolution };

// What Module::members is called with: collects a module's tensors and children under their paths.
class Members {
 public:
  using Visit = std::function<void(const std::string& path, Tensor& tensor, MemberKind kind,
                                   WeightLayout layout)>;
  using VisitModule = std::function<void(Module& module)>;
  explicit Members(Visit visit, VisitModule visit_module = {})
      : visit_(std::move(visit)), visit_module_(std::move(visit_module)) {}
  // Skipped when undefined (no bias).
  void parameter(const std::string& name, Tensor& tensor,
                 WeightLayout layout = WeightLayout::plain);
  void buffer(const std::string& name, Tensor& tensor);  // likewise
  // Without a name the child's paths are the parent's own.
  void child(const std::string& name, Module& module);

 private:
  void add(const std::string& name, Tensor& tensor, MemberKind kind, WeightLayout layout);
  Visit visit_;
  VisitModule visit_module_;
  std::string prefix_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// Not copyable, because a copied Tensor is a second handle to the same elements: a copy of a
// network is a new network that loads the other's state dict.
class Module {
 public:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;
  virtual Tensor forward(const Tensor& x) = 0;
  virtual void members(Members& m) = 0;

  // forward(x), reported to the LayerObserver (engine/nn/observer.h) where there is one.
  Tensor operator()(const Tensor& x);
  // Handles to the live tensors, in the order of `members`. Error when two share a path.
  std::vector<NamedTensor> named_parameters();
  std::vector<NamedTensor> named_buffers();
  std::vector<Tensor> parameters();
  std::int64_t parameter_count();  // elements, not tensors
  // Parameters and buffers by path, detached; they share the live elements.
  std::vector<NamedTensor> state_dict();
  // Copies values in, converting between float and double. Error that lists every missing,
  // unexpected, repeated and differently shaped or typed tensor; nothing is changed then.
  void load_state_dict(const std::vector<NamedTensor>& state);
  // A frozen module still passes gradients through to its input.
  void freeze() { set_requires_grad(false); }
  void set_requires_grad(bool value);
  // Training or evaluation mode, for the modules that differ (batch norm).
  void train(bool value = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  // Replace the floating tensors of another dtype, or the tensors of another device, by
  // converted copies without gradients. Handles taken before, such as an optimiser's,
  // still mean the old ones.
  void to(DType dtype);
  void to(Device device);

 private:
  friend class EvaluationGuard;
  bool training_ = true;
};

// Evaluation mode in its scope; then every module inside is in the mode it was in before.
class EvaluationGuard {
 public:
  explicit EvaluationGuard(Module& module);
  ~EvaluationGuard();
  EvaluationGuard(const EvaluationGuard&) = delete;
  EvaluationGuard& operator=(const EvaluationGuard&) = delete;

 private:
  std::vector<Module*> were_training_;
};

}  // namespace understudy
