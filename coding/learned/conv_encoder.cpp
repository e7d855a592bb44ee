#include "coding/learned/conv_encoder.h"

#include <cmath>

#include "engine/nn/init.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

constexpr std::int64_t dilations[] = {1, 1, 2, 4, 8, 1};

std::int64_t hidden_channels(const CodeShape& shape) { return 20 * std::int64_t{shape.k}; }

std::string layer_name(std::size_t layer) { return fmt::format("conv{}", layer + 1); }

}  // namespace

ConvEncoder::ConvEncoder(const CodeShape& shape_, Generator& generator) : shape(shape_) {
  const std::int64_t c = hidden_channels(shape);
  std::int64_t in = shape.k;
  for (const std::int64_t dilation : dilations) {
    layers.emplace_back(in, c, 3, generator,
                        Convolution::Options{.conv = {.padding = dilation, .dilation = dilation},
                                             .activation = Activation::relu});
    in = c;
  }
  layers.emplace_back(c, shape.r, 1, generator);
  for (Convolution& layer : layers) {
    init_xavier_uniform(layer.weight, generator, std::sqrt(2.0));
    init_constant(layer.bias, 0);
  }
}

ParameterShapes ConvEncoder::parameter_shapes(const CodeShape& shape) {
  const std::int64_t c = hidden_channels(shape);
  ParameterShapes shapes;
  std::int64_t in = shape.k;
  const auto add = [&](std::int64_t out, std::int64_t window) {
    const std::string name = layer_name(shapes.size() / 2);
    shapes.emplace_back(name + ".weight", Shape{out, in, window, window});
    shapes.emplace_back(name + ".bias", Shape{out});
    in = out;
  };
  for (std::size_t i = 0; i < std::size(dilations); ++i) add(c, 3);
  add(shape.r, 1);
  return shapes;
}

Tensor ConvEncoder::forward(const Tensor& planes) {
  check(planes.rank() == 4 && planes.size(1) == shape.k,
        "[ConvEncoder] made for planes (M,{},H,W), got {}", shape.k, to_string(planes.shape()));
  Tensor x = permute(planes, {0, 2, 3, 1});
  for (Convolution& layer : layers) x = layer(x);
  return permute(x, {0, 3, 1, 2});
}

void ConvEncoder::members(Members& m) {
  for (std::size_t i = 0; i < layers.size(); ++i) m.child(layer_name(i), layers[i]);
}

std::int64_t ConvEncoder::multiply_adds(std::int64_t height, std::int64_t width) const {
  std::int64_t weights = 0;  // each is used once for every pixel
  for (const Convolution& layer : layers) weights += layer.weight.count();
  return weights * height * width;
}

}  // namespace understudy
