#include "coding/learned/mlp_encoder.h"

#include "engine/nn/init.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

MlpEncoder::MlpEncoder(const CodeShape& shape_, std::int64_t height_, std::int64_t width_,
                       Generator& generator)
    : shape(shape_),
      height(height_),
      width(width_),
      fc1(shape_.k * height_ * width_, shape_.k * height_ * width_, generator,
          {.activation = Activation::relu}),
      fc2(shape_.k * height_ * width_, shape_.r * height_ * width_, generator) {
  for (Linear* layer : {&fc1, &fc2}) {
    init_normal(layer->weight, generator, 0.01);
    init_constant(layer->bias, 0);
  }
}

ParameterShapes MlpEncoder::parameter_shapes(const CodeShape& shape, std::int64_t height,
                                             std::int64_t width) {
  const std::int64_t in = shape.k * height * width, out = shape.r * height * width;
  return {
      {"fc1.weight", {in, in}}, {"fc1.bias", {in}}, {"fc2.weight", {out, in}}, {"fc2.bias", {out}}};
}

Tensor MlpEncoder::forward(const Tensor& planes) {
  check(planes.rank() == 4 && planes.size(1) == shape.k && planes.size(2) == height &&
            planes.size(3) == width,
        "[MlpEncoder] made for planes (M,{},{},{}), got {}", shape.k, height, width,
        to_string(planes.shape()));
  const std::int64_t M = planes.size(0);
  const Tensor flat = reshape(planes, {M, shape.k * height * width});
  return reshape(fc2(fc1(flat)), {M, shape.r, height, width});
}

void MlpEncoder::members(Members& m) {
  m.child("fc1", fc1);
  m.child("fc2", fc2);
}

std::int64_t MlpEncoder::multiply_adds(std::int64_t, std::int64_t) const {
  return fc1.weight.count() + fc2.weight.count();
}

}  // namespace understudy
