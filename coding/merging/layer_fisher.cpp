#include "coding/merging/layer_fisher.h"

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

}  // namespace

bool has_layer_fisher(const Module& module) {
  return dynamic_cast<const Linear*>(&module) != nullptr;
}

std::unique_ptr<LayerFisher> make_layer_fisher(Module& module) {
  if (const auto* layer = dynamic_cast<const Linear*>(&module))
    return std::make_unique<LinearFisher>(*layer);
  fail("[fisher] no rule for this kind of layer");
}

}  // namespace understudy
