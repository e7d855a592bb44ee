#include "coding/merging/layer_matrices.h"

#include <algorithm>
#include <set>

#include "engine/autograd.h"
#include "engine/nn/convolution.h"
#include "engine/nn/linear.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

struct Parts {
  Tensor weight, bias;
};

Parts parts_of(const Module& module) {
  if (const auto* linear = dynamic_cast<const Linear*>(&module))
    return {linear->weight.detach(), linear->bias.defined() ? linear->bias.detach() : linear->bias};
  const auto& convolution = dynamic_cast<const Convolution&>(module);
  return {convolution.weight.detach(),
          convolution.bias.defined() ? convolution.bias.detach() : convolution.bias};
}

// (N, P, Q, R·S·C): the window of each output pixel, in the order of a filter's weights.
Tensor windows(const Tensor& x, const Convolution& layer) {
  const Conv2d& conv = layer.conv;
  const HeightWidth kernel = layer.kernel();
  const std::int64_t P = window_count(x.size(1), kernel.height, conv.stride.height,
                                      conv.padding.height, conv.dilation.height);
  const std::int64_t Q = window_count(x.size(2), kernel.width, conv.stride.width,
                                      conv.padding.width, conv.dilation.width);
  const Tensor padded = conv.padding == HeightWidth(0) ? x : pad2d(x, conv.padding);
  std::vector<Tensor> pixels;
  for (std::int64_t r = 0; r < kernel.height; ++r)
    for (std::int64_t s = 0; s < kernel.width; ++s) {
      const std::int64_t y0 = r * conv.dilation.height, x0 = s * conv.dilation.width;
      const Tensor rows =
          slice(padded, 1, y0, y0 + (P - 1) * conv.stride.height + 1, conv.stride.height);
      pixels.push_back(slice(rows, 2, x0, x0 + (Q - 1) * conv.stride.width + 1, conv.stride.width));
    }
  return concat(pixels, 3);
}

class InputVisitor : public LayerObserver {
 public:
  explicit InputVisitor(const VisitLayer& visit) : visit_(visit) {}
  Tensor observe(Module& module, const Tensor& input, const Tensor& output) override {
    if (LayerMatrix::fits(module)) visit_(layer_++, module, input);
    return output;
  }

 private:
  const VisitLayer& visit_;
  std::size_t layer_ = 0;
};

}  // namespace

bool LayerMatrix::fits(const Module& module) {
  return dynamic_cast<const Linear*>(&module) || dynamic_cast<const Convolution*>(&module);
}

LayerMatrix::LayerMatrix(Module& module)
    : module_(&module), convolution_(dynamic_cast<const Convolution*>(&module) != nullptr) {
  check(fits(module), "[LayerMatrix] the layer is neither linear nor a convolution");
}

std::int64_t LayerMatrix::outputs() const { return parts_of(*module_).weight.size(0); }

std::int64_t LayerMatrix::inputs() const {
  const Parts parts = parts_of(*module_);
  return parts.weight.shape().count() / parts.weight.size(0) + (parts.bias.defined() ? 1 : 0);
}

Tensor LayerMatrix::matrix() const {
  const Parts parts = parts_of(*module_);
  const Tensor weight = cast(reshape(parts.weight, {outputs(), -1}), DType::f64);
  if (!parts.bias.defined()) return weight;
  return concat({weight, cast(reshape(parts.bias, {outputs(), 1}), DType::f64)}, 1);
}

void LayerMatrix::set(const Tensor& matrix) const {
  check(matrix.shape() == Shape{outputs(), inputs()}, "[LayerMatrix] {} for a layer of ({},{})",
        to_string(matrix.shape()), outputs(), inputs());
  Parts parts = parts_of(*module_);
  const std::int64_t J = parts.weight.shape().count() / outputs();
  parts.weight.copy_(reshape(slice(matrix, 1, 0, J), parts.weight.shape()));
  if (parts.bias.defined()) parts.bias.copy_(select(matrix, 1, J));
}

Tensor LayerMatrix::rows(const Tensor& input) const {
  const Parts parts = parts_of(*module_);
  const auto* convolution = dynamic_cast<const Convolution*>(module_);
  const Tensor x = reshape(convolution ? windows(input, *convolution) : input,
                           {-1, parts.weight.shape().count() / parts.weight.size(0)});
  if (!parts.bias.defined()) return x;
  return concat({x, Tensor::ones({x.size(0), 1}, x.dtype(), x.device())}, 1);
}

Tensor LayerMatrix::products(const Tensor& rows, const Tensor& matrix) {
  return matmul(cast(rows, DType::f64), transpose(matrix));
}

std::vector<Module*> layers_in_order(Module& model, const Tensor& input) {
  std::vector<Module*> layers;
  std::set<const TensorBody*> seen;
  for_each_layer_input(model, slice(input, 0, 0, 1),
                       [&](std::size_t, Module& module, const Tensor&) {
                         for (const NamedTensor& own : module.named_parameters())
                           check(seen.insert(own.tensor.body()).second,
                                 "[merge] a layer is used twice in one forward pass, or two share "
                                 "\"{}\" {}; such a layer has no inputs of its own to solve for",
                                 own.name, to_string(own.tensor.shape()));
                         layers.push_back(&module);
                       });
  return layers;
}

void for_each_layer_input(Module& model, const Tensor& points, const VisitLayer& visit,
                          std::int64_t batch_size) {
  const NoGradGuard no_grad;
  const EvaluationGuard evaluation(model);
  for (std::int64_t begin = 0; begin < points.size(0); begin += batch_size) {
    InputVisitor visitor(visit);
    model(contiguous(slice(points, 0, begin, std::min(begin + batch_size, points.size(0)))));
  }
}

Tensor scaled_off_diagonal(const Tensor& a, double factor) {
  Tensor out = scale(a, factor);
  const std::int64_t n = a.size(0);
  out.alias({n}, {n + 1}).copy_(contiguous(a).alias({n}, {n + 1}));
  return out;
}

void add_ridge(Tensor& a, double level) {
  const std::int64_t n = a.size(0);
  Tensor diagonal = a.alias({n}, {n + 1});  // a view: one step down and one to the right
  diagonal.copy_(shift(diagonal, std::max(level * mean(diagonal).item(), 1e-12)));
}

}  // namespace understudy
