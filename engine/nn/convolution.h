// The convolution layer.
#pragma once

#include "engine/nn/module.h"
#include "engine/ops.h"
#include "engine/random.h"

namespace understudy {

// activation(convolution + bias) of images (N, H, W, C), in one fused op.
struct Convolution : Module {
  struct Options {
    Conv2d conv;  // stride, padding, dilation
    bool bias = true;
    Activation activation = Activation::none;
  };
  // Starts as PyTorch's default does (init_pytorch_default); another init overwrites the members.
  Convolution(std::int64_t in, std::int64_t out, HeightWidth kernel, Generator& generator,
              const Options& options);
  Convolution(std::int64_t in, std::int64_t out, HeightWidth kernel, Generator& generator)
      : Convolution(in, out, kernel, generator, Options{}) {}

  std::int64_t in() const { return weight.size(3); }
  std::int64_t out() const { return weight.size(0); }
  HeightWidth kernel() const { return {weight.size(1), weight.size(2)}; }
  Tensor forward(const Tensor& x) override { return conv2d(x, weight, bias, conv, activation); }
  void members(Members& m) override;

  Tensor weight;  // (K, R, S, C)
  Tensor bias;    // (K), or undefined
  Conv2d conv;
  Activation activation;
};

}  // namespace understudy
