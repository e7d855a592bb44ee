// Which axes of which tensors go through the hidden units of a network: reorder them all alike and
// the network computes the same function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "engine/random.h"

namespace understudy {

// An axis of a tensor that a permutation of units reorders.
struct PermutedAxis {
  std::string tensor;  // its path in the state dict
  int axis = 0;
  bool matched = true;  // whether alignment compares it; running statistics only follow
};

// Units that have one order: a hidden layer's, or those of all layers that add to one residual
// stream.
struct PermutationGroup {
  std::string name;  // of the layer that makes them, for people
  std::int64_t size = 0;
  std::vector<PermutedAxis> axes;
};

struct PermutationSpec {
  std::vector<PermutationGroup> groups;
};

// Of an Mlp or a ResNet18: all hidden layers and streams; inputs and classes keep their order.
// UsageError that names the architecture of any other model.
PermutationSpec permutation_spec(Module& model);

// For each group, which unit goes to each place: new[i] = old[permutation[i]].
using Permutations = std::vector<std::vector<std::int64_t>>;
Permutations identity_permutations(const PermutationSpec& spec);
Permutations random_permutations(const PermutationSpec& spec, Generator& generator);

// Along `axis`, in a new dense tensor.
Tensor permuted(const Tensor& x, int axis, const std::vector<std::int64_t>& permutation);
// The tensors with all their axes reordered; any that the spec does not name stays as it is. Takes
// whole states and parts of them, such as a Fisher information. Error for an axis of another size,
// and for permutations that are none.
std::vector<NamedTensor> permuted(const PermutationSpec& spec, const Permutations& permutations,
                                  std::vector<NamedTensor> tensors);

}  // namespace understudy
