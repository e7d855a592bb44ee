#include "coding/merging/permutation_spec.h"

#include <map>
#include <numeric>
#include <utility>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/mlp.h"
#include "models/resnet.h"

namespace understudy {
namespace {

PermutationSpec spec_of(const Mlp& model) {
  PermutationSpec spec;
  for (std::size_t i = 0; i + 1 < model.layers.size(); ++i) {
    const std::string layer = std::to_string(2 * i), next = std::to_string(2 * i + 2);
    spec.groups.push_back({layer,
                           model.layers[i].out(),
                           {{layer + ".weight", 0}, {layer + ".bias", 0}, {next + ".weight", 1}}});
  }
  return spec;
}

// The filters of a convolution, and all that its batch norm has of each channel.
void add_outputs(PermutationGroup& group, const NormalizedConvolution& layer,
                 const std::string& convolution_name, const std::string& norm_name) {
  group.axes.push_back({convolution_name + ".weight", 0});
  if (!layer.norm) {
    group.axes.push_back({convolution_name + ".bias", 0});
    return;
  }
  for (const char* parameter : {".weight", ".bias"})
    group.axes.push_back({norm_name + parameter, 0});
  for (const char* statistic : {".running_mean", ".running_var"})
    group.axes.push_back({norm_name + statistic, 0, false});
}

PermutationGroup outputs_of(const NormalizedConvolution& layer, const std::string& convolution_name,
                            const std::string& norm_name) {
  PermutationGroup group{convolution_name, layer.convolution.out(), {}};
  add_outputs(group, layer, convolution_name, norm_name);
  return group;
}

PermutationSpec spec_of(ResNet18& model) {
  constexpr int inputs = 3;  // the axis of a filter (K, R, S, C)
  PermutationSpec spec;
  PermutationGroup stream = outputs_of(model.stem, "conv1", "bn1");
  for (std::size_t s = 0; s < model.stages.size(); ++s)
    for (std::size_t b = 0; b < model.stages[s].size(); ++b) {
      const auto& block = dynamic_cast<const BasicBlock&>(model.stages[s][b]);
      const std::string path = fmt::format("layer{}.{}.", s + 1, b);
      PermutationGroup hidden = outputs_of(block.first, path + "conv1", path + "bn1");
      stream.axes.push_back({path + "conv1.weight", inputs});
      if (block.downsample) {  // a new stream, of which the block's two branches are the first
        stream.axes.push_back({path + "downsample.0.weight", inputs});
        spec.groups.push_back(std::exchange(
            stream, outputs_of(*block.downsample, path + "downsample.0", path + "downsample.1")));
      }
      hidden.axes.push_back({path + "conv2.weight", inputs});
      add_outputs(stream, block.second, path + "conv2", path + "bn2");
      spec.groups.push_back(std::move(hidden));
    }
  stream.axes.push_back({"fc.weight", 1});
  spec.groups.push_back(std::move(stream));
  return spec;
}

void check_permutation(const PermutationGroup& group, const std::vector<std::int64_t>& order) {
  std::vector<bool> seen(static_cast<std::size_t>(group.size), false);
  bool valid = order.size() == seen.size();
  for (std::size_t i = 0; valid && i < order.size(); ++i) {
    const std::int64_t unit = order[i];
    valid = unit >= 0 && unit < group.size && !seen[static_cast<std::size_t>(unit)];
    if (valid) seen[static_cast<std::size_t>(unit)] = true;
  }
  check(valid, "[permuted] what is given for the units of \"{}\" is no permutation of {}",
        group.name, group.size);
}

}  // namespace

PermutationSpec permutation_spec(Module& model) {
  if (const auto* mlp = dynamic_cast<const Mlp*>(&model)) return spec_of(*mlp);
  if (auto* resnet = dynamic_cast<ResNet18*>(&model)) return spec_of(*resnet);
  const auto* other = dynamic_cast<const Model*>(&model);
  throw UsageError(fmt::format(
      "alignment knows which units may change places in mlp and resnet18, not in {}",
      other ? '"' + other->describe() + '"' : "a module that does not name its architecture"));
}

Permutations identity_permutations(const PermutationSpec& spec) {
  Permutations permutations;
  for (const PermutationGroup& group : spec.groups) {
    permutations.emplace_back(static_cast<std::size_t>(group.size));
    std::iota(permutations.back().begin(), permutations.back().end(), std::int64_t{0});
  }
  return permutations;
}

Permutations random_permutations(const PermutationSpec& spec, Generator& generator) {
  Permutations permutations;
  for (const PermutationGroup& group : spec.groups)
    permutations.push_back(generator.permutation(group.size));
  return permutations;
}

Tensor permuted(const Tensor& x, int axis, const std::vector<std::int64_t>& permutation) {
  const NoGradGuard no_grad;
  std::vector<int> axes(static_cast<std::size_t>(x.rank()));  // `axis` and 0 change places
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[0], axes[static_cast<std::size_t>(axis)]);
  const Tensor index = to(Tensor::from(permutation, {std::ssize(permutation)}), x.device());
  return contiguous(permute(gather_rows(contiguous(permute(x.detach(), axes)), index), axes));
}

std::vector<NamedTensor> permuted(const PermutationSpec& spec, const Permutations& permutations,
                                  std::vector<NamedTensor> tensors) {
  check(permutations.size() == spec.groups.size(), "[permuted] {} permutations for {} groups",
        permutations.size(), spec.groups.size());
  std::map<std::string, Tensor*> named;
  for (NamedTensor& tensor : tensors) named[tensor.name] = &tensor.tensor;
  for (std::size_t g = 0; g < spec.groups.size(); ++g) {
    const PermutationGroup& group = spec.groups[g];
    check_permutation(group, permutations[g]);
    for (const PermutedAxis& place : group.axes) {
      const auto found = named.find(place.tensor);
      if (found == named.end()) continue;
      Tensor& tensor = *found->second;
      check(place.axis < tensor.rank() && tensor.size(place.axis) == group.size,
            "[permuted] \"{}\" is {}; expected {} at axis {}, the units of \"{}\"", place.tensor,
            to_string(tensor.shape()), group.size, place.axis, group.name);
      tensor = permuted(tensor, place.axis, permutations[g]);
    }
  }
  return tensors;
}

}  // namespace understudy
