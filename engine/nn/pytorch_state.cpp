#include "engine/nn/pytorch_state.h"

#include <string>
#include <unordered_set>
#include <utility>

#include "engine/ops.h"

namespace understudy {
namespace {

std::unordered_set<std::string> convolution_weights(Module& module) {
  std::unordered_set<std::string> paths;
  Members members([&](const std::string& path, Tensor&, MemberKind, WeightLayout layout) {
    if (layout == WeightLayout::convolution) paths.insert(path);
  });
  module.members(members);
  return paths;
}

std::vector<NamedTensor> turn(Module& module, std::vector<NamedTensor> tensors,
                              std::initializer_list<int> axes) {
  const auto turned = convolution_weights(module);
  for (NamedTensor& named : tensors)
    // Those of another rank do not fit in any order; load_state_dict says so.
    if (turned.contains(named.name) && named.tensor.defined() && named.tensor.rank() == 4)
      named.tensor = permute(named.tensor, axes);
  return tensors;
}

}  // namespace

std::vector<NamedTensor> to_pytorch_order(Module& module, std::vector<NamedTensor> tensors) {
  return turn(module, std::move(tensors), {0, 3, 1, 2});
}

std::vector<NamedTensor> from_pytorch_order(Module& module, std::vector<NamedTensor> tensors) {
  return turn(module, std::move(tensors), {0, 2, 3, 1});
}

std::vector<NamedTensor> pytorch_state(Module& module) {
  return to_pytorch_order(module, module.state_dict());
}

void load_pytorch_state(Module& module, std::vector<NamedTensor> state) {
  module.load_state_dict(from_pytorch_order(module, std::move(state)));
}

}  // namespace understudy
