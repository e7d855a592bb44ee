#include "coding/merging/fisher.h"

#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "coding/merging/layer_fisher.h"
#include "coding/merging/output_gradients.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

// The layers of a network and what is summed for each.
class DiagonalFisher : public OutputGradientVisitor {
 public:
  bool wants(const Module& module) const override { return has_layer_fisher(module); }
  void begin_batch(std::span<const TappedLayer> layers) override {
    now_.clear();
    for (const TappedLayer& layer : layers) {
      std::unique_ptr<LayerFisher>& fisher = fishers_[layer.module];
      if (!fisher) fisher = make_layer_fisher(*layer.module);
      fisher->begin_batch(layer.input);
      now_.push_back(fisher.get());
    }
  }
  void gradient(std::size_t layer, const Tensor& dy) override { now_[layer]->add(dy); }
  void end_batch() override {
    for (LayerFisher* fisher : now_) fisher->end_batch();
  }

  // By parameter; zeros where no gradient came by.
  std::map<const TensorBody*, Tensor> sums() const {
    std::map<const TensorBody*, Tensor> all;
    for (const auto& [module, fisher] : fishers_) {
      const std::vector<Tensor> parameters = module->parameters(), own = fisher->sums();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Tensor& p = parameters[i];
        all[p.body()] = own[i].defined() ? own[i] : Tensor::zeros(p.shape(), p.dtype(), p.device());
      }
    }
    return all;
  }

 private:
  std::map<Module*, std::unique_ptr<LayerFisher>> fishers_;
  std::vector<LayerFisher*> now_;  // of this batch's layers
};

// "a, b, c, 4 others"
std::string some_of(std::vector<std::string> names) {
  constexpr std::size_t most = 3;
  if (names.size() > most + 1) {
    const std::size_t others = names.size() - most;
    names.resize(most);
    names.push_back(fmt::format("{} others", others));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<NamedTensor> diagonal_fisher(Module& model, const Tensor& inputs,
                                         const FisherOptions& options, const Tensor& labels) {
  check_fisher(model);
  DiagonalFisher fisher;
  for_each_output_gradient(model, inputs, options, labels, fisher);

  NoGradGuard no_grad;
  const std::map<const TensorBody*, Tensor> sums = fisher.sums();
  std::vector<NamedTensor> means;
  std::vector<std::string> idle;
  for (const NamedTensor& parameter : model.named_parameters()) {
    const auto found = sums.find(parameter.tensor.body());
    if (found == sums.end())
      idle.push_back(parameter.name);
    else
      means.push_back(
          {parameter.name, scale(found->second, 1.0 / static_cast<double>(inputs.size(0)))});
  }
  check(idle.empty(), "[fisher] the forward pass does not run the layers that own {}",
        some_of(idle));
  return means;
}

void check_fisher(Module& model) {
  std::set<const TensorBody*> known;
  const auto note = [&](Module& module) {
    if (has_layer_fisher(module))
      for (const Tensor& parameter : module.parameters()) known.insert(parameter.body());
  };
  note(model);
  Members members({}, note);
  model.members(members);
  std::vector<std::string> unknown;
  for (const NamedTensor& parameter : model.named_parameters())
    if (!known.contains(parameter.tensor.body())) unknown.push_back(parameter.name);
  check(unknown.empty(),
        "[fisher] no rule for the layers that own {}; linear layers, convolutions and batch norms "
        "have one",
        some_of(unknown));
}

}  // namespace understudy
