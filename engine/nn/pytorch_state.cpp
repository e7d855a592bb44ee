#include "engine/nn/pytorch_state.h"

#include <string>
#include <unordered_set>

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

}  // namespace

std::vector<NamedTensor> pytorch_state(Module& module) {
  const auto turned = convolution_weights(module);
  std::vector<NamedTensor> state = module.state_dict();
  for (NamedTensor& named : state)
    if (turned.contains(named.name)) named.tensor = permute(named.tensor, {0, 3, 1, 2});
  return state;
}

void load_pytorch_state(Module& module, std::vector<NamedTensor> state) {
  const auto turned = convolution_weights(module);
  for (NamedTensor& named : state)
    // Those of another rank do not fit in any order; load_state_dict says so.
    if (turned.contains(named.name) && named.tensor.defined() && named.tensor.rank() == 4)
      named.tensor = permute(named.tensor, {0, 2, 3, 1});
  module.load_state_dict(state);
}

}  // namespace understudy
