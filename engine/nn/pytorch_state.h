// A module's state in PyTorch's order of axes: what model files hold. Names are PyTorch's already;
// the weights of convolutions are (K, R, S, C) here and (K, C, R, S) there, and this is the one
// place that turns the one into the other.
#pragma once

#include <vector>

#include "engine/nn/module.h"

namespace understudy {

// As Module::state_dict(); turned weights are views of the live elements.
std::vector<NamedTensor> pytorch_state(Module& module);
// As Module::load_state_dict(), whose Error names shapes in the order of axes here.
void load_pytorch_state(Module& module, std::vector<NamedTensor> state);

// Any tensors that are named and shaped like those of a module, such as one for each parameter: as
// views in PyTorch's order of axes, and back. Tensors of other names or ranks stay as they are.
std::vector<NamedTensor> to_pytorch_order(Module& module, std::vector<NamedTensor> tensors);
std::vector<NamedTensor> from_pytorch_order(Module& module, std::vector<NamedTensor> tensors);

}  // namespace understudy
