#include "coding/merging/layer_fisher.h"

#include <algorithm>

#include "engine/nn/batch_norm.h"
#include "engine/nn/convolution.h"
#include "engine/nn/linear.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

void accumulate(Tensor& total, const Tensor& part) {
  total = total.defined() ? total + part : part;
}

// The gradient of a sample is the outer product δ aᵀ of its output gradient and its input, so the
// sum of squares over a batch is one product of matrices, (δ∘δ)ᵀ(a∘a); a does not depend on the
// seed, so the seeds are summed in δ∘δ before it.
class LinearFisher : public LayerFisher {
 public:
  explicit LinearFisher(const Linear& layer) : bias_(layer.bias.defined()) {}
  void begin_batch(const Tensor& input) override {
    check(input.rank() == 2,
          "[fisher] a linear layer was given {}; only (P,in) has one outer product a sample",
          input.shape());
    input_ = input;
    squares_ = {};
  }
  void add(const Tensor& dy) override { accumulate(squares_, square(dy)); }
  void end_batch() override {
    if (squares_.defined()) {
      accumulate(weight_sums_, matmul(transpose(squares_), square(input_)));
      if (bias_) accumulate(bias_sums_, sum(squares_, {0}));
    }
    input_ = squares_ = {};
  }
  std::vector<Tensor> sums() const override {
    if (bias_) return {weight_sums_, bias_sums_};
    return {weight_sums_};
  }

 private:
  bool bias_;
  Tensor input_;    // (P, in)
  Tensor squares_;  // (P, out): Σ over seeds of δ∘δ
  Tensor weight_sums_, bias_sums_;
};

// The gradient of a sample is a product over its pixels, whose squares the kernel adds up without
// storing it; the bias's is the sum of δ over the pixels.
class ConvolutionFisher : public LayerFisher {
 public:
  explicit ConvolutionFisher(const Convolution& layer)
      : kernel_(layer.kernel()), conv_(layer.conv), bias_(layer.bias.defined()) {
    conv_.algorithm = ConvAlgorithm::automatic;
  }
  void begin_batch(const Tensor& input) override {
    input_ = input;
    waiting_.clear();
  }
  void add(const Tensor& dy) override {
    if (bias_) accumulate(bias_sums_, sum(square(sum(dy, {1, 2})), {0}));
    waiting_.push_back(dy);
    if (dy.size(1) * dy.size(2) > most_pixels) flush();
  }
  void end_batch() override {
    flush();
    input_ = {};
  }
  std::vector<Tensor> sums() const override {
    if (bias_) return {weight_sums_, bias_sums_};
    return {weight_sums_};
  }

 private:
  // Gradients of so few pixels are little to keep, and less to compute for all seeds at once.
  static constexpr std::int64_t most_pixels = 32;

  void flush() {
    if (waiting_.empty()) return;
    accumulate(weight_sums_, conv2d_squared_weight_gradients(waiting_, input_, kernel_, conv_));
    waiting_.clear();
  }

  HeightWidth kernel_;
  Conv2d conv_;
  bool bias_;
  Tensor input_;                 // (N, H, W, C)
  std::vector<Tensor> waiting_;  // (N, P, Q, K), of the seeds not added yet
  Tensor weight_sums_, bias_sums_;
};

// In evaluation mode y = weight · x̂ + bias with x̂ = (x - mean) / √(variance + eps) that depends on
// no other sample: the gradients of a sample are Σ δ x̂ and Σ δ over its pixels.
class BatchNormFisher : public LayerFisher {
 public:
  explicit BatchNormFisher(const BatchNorm& layer) : layer_(layer) {}
  void begin_batch(const Tensor& input) override {
    normalized_ =
        per_sample((input - layer_.running_mean) / sqrt(shift(layer_.running_var, layer_.eps)));
  }
  void add(const Tensor& dy) override {
    const Tensor rows = per_sample(dy);
    accumulate(weight_sums_, sum(square(sum(rows * normalized_, {1})), {0}));
    accumulate(bias_sums_, sum(square(sum(rows, {1})), {0}));
  }
  void end_batch() override { normalized_ = {}; }
  std::vector<Tensor> sums() const override { return {weight_sums_, bias_sums_}; }

 private:
  // (N, ..., C) → (N, pixels, C)
  static Tensor per_sample(const Tensor& x) {
    return reshape(
        x, {x.size(0), x.count() / std::max<std::int64_t>(1, x.size(0) * x.size(-1)), x.size(-1)});
  }

  const BatchNorm& layer_;
  Tensor normalized_;  // (N, pixels, C)
  Tensor weight_sums_, bias_sums_;
};

template <class Layer, class Rule>
std::unique_ptr<LayerFisher> make(const Module& module) {
  const auto* layer = dynamic_cast<const Layer*>(&module);
  return layer ? std::make_unique<Rule>(*layer) : nullptr;
}

// A rule for another kind of layer is a class above and a line here.
constexpr std::unique_ptr<LayerFisher> (*rules[])(const Module&) = {
    make<Linear, LinearFisher>, make<Convolution, ConvolutionFisher>,
    make<BatchNorm, BatchNormFisher>};

}  // namespace

bool has_layer_fisher(const Module& module) {
  return std::ranges::any_of(rules, [&](auto rule) { return rule(module) != nullptr; });
}

std::unique_ptr<LayerFisher> make_layer_fisher(Module& module) {
  for (const auto rule : rules)
    if (std::unique_ptr<LayerFisher> fisher = rule(module)) return fisher;
  fail("[fisher] no rule for this kind of layer");
}

}  // namespace understudy
