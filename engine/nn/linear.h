// The affine layer.
#pragma once

#include "engine/nn/module.h"
#include "engine/ops.h"
#include "engine/random.h"

namespace understudy {

// activation(x · weightᵀ + bias): x (..., in) → (..., out), in one fused op.
struct Linear : Module {
  struct Options {
    bool bias = true;
    Activation activation = Activation::none;
  };
  // Starts as PyTorch's default does (init_pytorch_default); another init overwrites the members.
  Linear(std::int64_t in, std::int64_t out, Generator& generator, const Options& options);
  Linear(std::int64_t in, std::int64_t out, Generator& generator)
      : Linear(in, out, generator, Options{}) {}

  std::int64_t in() const { return weight.size(1); }
  std::int64_t out() const { return weight.size(0); }
  Tensor forward(const Tensor& x) override { return linear(x, weight, bias, activation); }
  void members(Members& m) override;

  Tensor weight;  // (out, in)
  Tensor bias;    // (out), or undefined
  Activation activation;
};

}  // namespace understudy
