// Chains of modules, and the links without parameters.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/nn/module.h"
#include "engine/ops.h"

namespace understudy {

struct ReLU : Module {
  Tensor forward(const Tensor& x) override { return relu(x); }
  void members(Members&) override {}
};

// (N, ...) → (N, the product of the rest). A view of a dense tensor.
struct Flatten : Module {
  Tensor forward(const Tensor& x) override;
  void members(Members&) override {}
};
Tensor flatten(const Tensor& x);

// Runs its children in order; they are named "0", "1", ... as in PyTorch's nn.Sequential.
class Sequential : public Module {
 public:
  Sequential() = default;
  // Sequential net(Linear(784, 10, generator), ReLU());
  template <class... Links>
  requires(sizeof...(Links) > 0 &&
           (std::is_base_of_v<Module, Links> && ...)) explicit Sequential(Links... links) {
    (add(std::make_unique<Links>(std::move(links))), ...);
  }

  // Error for a null module.
  Sequential& add(std::unique_ptr<Module> module);
  std::size_t size() const { return modules_.size(); }
  Module& operator[](std::size_t index);  // Error when out of range

  Tensor forward(const Tensor& x) override;
  void members(Members& m) override;

 private:
  std::vector<std::unique_ptr<Module>> modules_;
};

}  // namespace understudy
