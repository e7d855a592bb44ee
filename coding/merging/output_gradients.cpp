#include "coding/merging/output_gradients.h"

#include <algorithm>
#include <set>
#include <vector>

#include "engine/autograd.h"
#include "engine/nn/convolution.h"
#include "engine/nn/linear.h"
#include "engine/nn/observer.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

// The name of a module's first parameter, by which a person finds the module.
std::string first_parameter(Module& model, Module& module) {
  const std::vector<Tensor> own = module.parameters();
  for (const NamedTensor& named : model.named_parameters())
    if (!own.empty() && named.tensor.body() == own.front().body()) return named.name;
  return "?";
}

bool has_relu(const Module& module) {
  if (const auto* layer = dynamic_cast<const Linear*>(&module))
    return layer->activation == Activation::relu;
  if (const auto* layer = dynamic_cast<const Convolution*>(&module))
    return layer->activation == Activation::relu;
  return false;
}

// Puts an identity behind every wanted layer, whose backward tells the visitor what comes by.
class Taps : public LayerObserver {
 public:
  Taps(Module& model, OutputGradientVisitor& visitor) : model_(model), visitor_(visitor) {
    start_.set_requires_grad(true);
  }

  Tensor observe(Module& module, const Tensor& input, const Tensor& output) override {
    if (!visitor_.wants(module)) return output;
    check_alone(module);
    const std::size_t layer = layers_.size();
    layers_.push_back({&module, input.detach(), output.detach()});
    const bool relu = has_relu(module);
    return record("tap", output.detach(), {output, start_},
                  [this, layer, relu](const Tensor& dy, Wanted) {
                    visitor_.gradient(layer, relu ? let_through(layer, dy) : dy);
                    return Gradients{dy, Tensor()};
                  });
  }
  const std::vector<TappedLayer>& layers() const { return layers_; }

 private:
  void check_alone(Module& module) {
    for (const TappedLayer& before : layers_)
      check(before.module != &module,
            "[fisher] the layer of \"{}\" is used twice in one forward pass; its squares do not "
            "add up",
            first_parameter(model_, module));
    for (const NamedTensor& own : module.named_parameters())
      check(owned_.insert(own.tensor.body()).second,
            "[fisher] two layers share one tensor, the \"{}\" {} of one of them; their squares do "
            "not add up",
            own.name, own.tensor.shape());
  }
  // Where ReLU's result is zero nothing came through.
  Tensor let_through(std::size_t layer, const Tensor& dy) const {
    return where(layers_[layer].output, dy, Tensor::zeros({1}, dy.dtype(), dy.device()));
  }

  Module& model_;
  OutputGradientVisitor& visitor_;
  std::vector<TappedLayer> layers_;
  std::set<const TensorBody*> owned_;  // parameters of the layers met
  Tensor start_ = Tensor::zeros({1});  // what makes the graph begin at the first tap
};

// Evaluation mode and no parameter gradients, as long as it lives.
class Quiet {
 public:
  explicit Quiet(Module& model) : evaluation_(model) {
    for (Tensor& parameter : model.parameters()) {
      if (!parameter.requires_grad()) continue;
      parameter.set_requires_grad(false);
      thawed_.push_back(parameter);
    }
  }
  ~Quiet() {
    for (Tensor& parameter : thawed_) parameter.set_requires_grad(true);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  EvaluationGuard evaluation_;
  std::vector<Tensor> thawed_;
};

}  // namespace

void for_each_output_gradient(Module& model, const Tensor& inputs, const FisherOptions& options,
                              const Tensor& labels, OutputGradientVisitor& visitor) {
  check(inputs.rank() >= 2 && inputs.size(0) >= 1 && options.batch_size >= 1,
        "[fisher] inputs {} and batch size {}: expected (P, ...) and both at least 1",
        inputs.shape(), options.batch_size);
  check(recording(), "[fisher] needs gradients, and a NoGradGuard has turned them off");
  const Quiet quiet(model);
  const std::int64_t P = inputs.size(0);
  const FisherSeeds seeds(options, P, labels);
  for (std::int64_t begin = 0; begin < P; begin += options.batch_size) {
    const Tensor batch =
        contiguous(slice(inputs, 0, begin, std::min(begin + options.batch_size, P))).detach();
    Taps taps(model, visitor);
    const Tensor logits = model(batch);
    check(logits.rank() == 2 && logits.size(0) == batch.size(0),
          "[fisher] the model made {} of {}, expected (P,classes)", logits.shape(), batch.shape());
    visitor.begin_batch(taps.layers());
    const std::vector<Tensor> all = seeds.of_batch(begin, logits);
    for (std::size_t s = 0; s < all.size() && logits.requires_grad(); ++s)
      logits.backward(all[s],
                      s + 1 < all.size() ? AfterBackward::keep_graph : AfterBackward::free_graph);
    const NoGradGuard no_grad;
    visitor.end_batch();
  }
}

}  // namespace understudy
