#include "coding/merging/fisher.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "engine/autograd.h"
#include "engine/nn/linear.h"
#include "engine/nn/observer.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// By parameter: Σ over samples of squared gradients.
using Sums = std::map<const TensorBody*, Tensor>;

void add_to(Sums& sums, const Tensor& parameter, const Tensor& squares) {
  const auto [place, fresh] = sums.emplace(parameter.body(), squares);
  if (!fresh) place->second = place->second + squares;
}

// One layer during one batch: what it was given, and the output gradients of every class.
class LayerFisher {
 public:
  virtual ~LayerFisher() = default;
  virtual void add_class(const Tensor& dy) = 0;  // dL/d(output), one row for each sample
  virtual void finish(Sums& sums) = 0;
};

class LinearFisher : public LayerFisher {
 public:
  LinearFisher(const Linear& layer, const Tensor& input, const Tensor& output)
      : layer_(layer), input_(input.detach()) {
    check(
        input.rank() == 2,
        "[fisher] a linear layer ({},{}) was given {}; only (P,in) has one outer product a sample",
        layer.out(), layer.in(), to_string(input.shape()));
    if (layer.activation == Activation::relu)
      passes_ = greater(output.detach(), Tensor::zeros({1}, output.dtype(), output.device()));
  }
  void add_class(const Tensor& dy) override {
    const Tensor squares = square(passes_.defined() ? dy * passes_ : dy);
    squares_ = squares_.defined() ? squares_ + squares : squares;
  }
  void finish(Sums& sums) override {
    add_to(sums, layer_.weight, matmul(transpose(squares_), square(input_)));
    if (layer_.bias.defined()) add_to(sums, layer_.bias, sum(squares_, {0}));
  }

 private:
  const Linear& layer_;
  Tensor input_;
  Tensor passes_;   // 1 where the fused ReLU let the value through; undefined without one
  Tensor squares_;  // (P, out): Σ over classes of δ∘δ
};

// Null for modules without parameters of their own, and for kinds that are not known.
std::unique_ptr<LayerFisher> make_layer_fisher(Module& module, const Tensor& input,
                                               const Tensor& output) {
  if (const auto* layer = dynamic_cast<const Linear*>(&module))
    return std::make_unique<LinearFisher>(*layer, input, output);
  return nullptr;
}

// Adds a zero that wants a gradient to every layer's output, and so learns dL/d(output).
class Taps : public LayerObserver {
 public:
  Tensor observe(Module& module, const Tensor& input, const Tensor& output) override {
    if (first_pass_) {
      auto layer = make_layer_fisher(module, input, output);
      if (!layer) return output;
      check(index_.emplace(&module, layers_.size()).second,
            "[fisher] a layer is used twice in one forward pass; its squares do not add up");
      for (const NamedTensor& own : module.named_parameters())
        check(
            owned_.insert(own.tensor.body()).second,
            "[fisher] two layers share one tensor, the \"{}\" {} of one of them; their squares do "
            "not add up",
            own.name, to_string(own.tensor.shape()));
      layers_.push_back(std::move(layer));
      zeros_.emplace_back();
    }
    const auto found = index_.find(&module);
    if (found == index_.end()) return output;
    Tensor zero = Tensor::zeros(output.shape(), output.dtype(), output.device());
    zero.set_requires_grad(true);
    zeros_[found->second] = zero;
    return output + zero;
  }

  // After the backward pass of a class.
  void end_class() {
    first_pass_ = false;
    NoGradGuard no_grad;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (zeros_[i].grad().defined()) layers_[i]->add_class(zeros_[i].grad());
      zeros_[i] = {};
    }
  }
  void finish(Sums& sums) {
    NoGradGuard no_grad;
    for (const auto& layer : layers_) layer->finish(sums);
  }

 private:
  bool first_pass_ = true;
  std::map<const Module*, std::size_t> index_;
  std::set<const TensorBody*> owned_;  // parameters of the layers met
  std::vector<std::unique_ptr<LayerFisher>> layers_;
  std::vector<Tensor> zeros_;
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

// What is sent back from the logits for class c, so that the squares of the parameter gradients,
// summed over the classes, are the Fisher information of a sample.
Tensor seed(FisherKind kind, const Tensor& logits, std::int64_t c) {
  NoGradGuard no_grad;
  Tensor one_hot = Tensor::zeros({logits.size(1)}, logits.dtype(), logits.device());
  slice(one_hot, 0, c, c + 1).fill_(1);
  const Tensor rows = broadcast_to(one_hot, logits.shape());
  if (kind == FisherKind::gaussian) return contiguous(rows);
  // √p_c · ∂ log p_c/∂f = √p_c (e_c − p)
  const Tensor p = softmax(logits.detach());
  return sqrt(slice(p, 1, c, c + 1)) * (rows - p);
}

// Error when there are any.
void refuse_unknown(std::vector<std::string> parameters) {
  constexpr std::size_t most = 3;
  if (parameters.size() > most + 1) {
    const std::size_t others = parameters.size() - most;
    parameters.resize(most);
    parameters.push_back(fmt::format("{} others", others));
  }
  check(parameters.empty(), "[fisher] no rule for the layers that own {}; linear layers have one",
        fmt::join(parameters, ", "));
}

}  // namespace

FisherKind fisher_kind(const std::string& name) {
  if (name == "gaussian") return FisherKind::gaussian;
  if (name == "classification") return FisherKind::classification;
  throw UsageError(
      fmt::format("unknown Fisher kind \"{}\"; there are: gaussian, classification", name));
}

const char* to_string(FisherKind kind) {
  return kind == FisherKind::gaussian ? "gaussian" : "classification";
}

std::vector<NamedTensor> diagonal_fisher(Module& model, const Tensor& inputs, FisherKind kind,
                                         std::int64_t batch_size) {
  check(inputs.rank() >= 2 && inputs.size(0) >= 1 && batch_size >= 1,
        "[fisher] inputs {} and batch size {}: expected (P, ...) and both at least 1",
        to_string(inputs.shape()), batch_size);
  const Quiet quiet(model);
  Sums sums;
  const std::int64_t P = inputs.size(0);
  for (std::int64_t begin = 0; begin < P; begin += batch_size) {
    const Tensor batch = contiguous(slice(inputs, 0, begin, std::min(begin + batch_size, P)));
    Taps taps;
    std::int64_t classes = 1;
    for (std::int64_t c = 0; c < classes; ++c) {
      const Tensor logits = model(batch);
      check(logits.rank() == 2 && logits.size(0) == batch.size(0),
            "[fisher] the model made {} of {}, expected (P,classes)", to_string(logits.shape()),
            to_string(batch.shape()));
      classes = logits.size(1);
      if (logits.requires_grad()) logits.backward(seed(kind, logits, c));
      taps.end_class();
    }
    taps.finish(sums);
  }

  NoGradGuard no_grad;
  std::vector<NamedTensor> fisher;
  std::vector<std::string> unknown;
  for (const NamedTensor& parameter : model.named_parameters()) {
    const auto found = sums.find(parameter.tensor.body());
    if (found == sums.end())
      unknown.push_back(parameter.name);
    else
      fisher.push_back({parameter.name, scale(found->second, 1.0 / static_cast<double>(P))});
  }
  refuse_unknown(std::move(unknown));
  return fisher;
}

void check_fisher(Module& model) {
  std::set<const TensorBody*> known;
  const auto note = [&](Module& module) {
    if (dynamic_cast<const Linear*>(&module))
      for (const Tensor& parameter : module.parameters()) known.insert(parameter.body());
  };
  note(model);
  Members members({}, note);
  model.members(members);
  std::vector<std::string> unknown;
  for (const NamedTensor& parameter : model.named_parameters())
    if (!known.contains(parameter.tensor.body())) unknown.push_back(parameter.name);
  refuse_unknown(std::move(unknown));
}

}  // namespace understudy
