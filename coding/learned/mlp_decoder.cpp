#include "coding/learned/mlp_decoder.h"

#include "engine/nn/init.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

MlpDecoder::MlpDecoder(const CodeShape& shape_, std::int64_t classes_, Generator& generator)
    : shape(shape_),
      classes(classes_),
      fc1(shape_.units() * classes_, shape_.units() * classes_, generator,
          {.activation = Activation::relu}),
      fc2(shape_.units() * classes_, shape_.k * classes_, generator,
          {.activation = Activation::relu}),
      fc3(shape_.k * classes_, shape_.k * classes_, generator) {
  for (Linear* layer : {&fc1, &fc2, &fc3}) {
    init_normal(layer->weight, generator, 0.01);
    init_constant(layer->bias, 0);
  }
}

ParameterShapes MlpDecoder::parameter_shapes(const CodeShape& shape, std::int64_t classes) {
  const std::int64_t all = shape.units() * classes, data = shape.k * classes;
  return {{"fc1.weight", {all, all}}, {"fc1.bias", {all}},          {"fc2.weight", {data, all}},
          {"fc2.bias", {data}},       {"fc3.weight", {data, data}}, {"fc3.bias", {data}}};
}

Tensor MlpDecoder::forward(const Tensor& outputs) {
  check(outputs.rank() == 3 && outputs.size(1) == shape.units() && outputs.size(2) == classes,
        "[MlpDecoder] made for outputs (G,{},{}), got {}", shape.units(), classes,
        to_string(outputs.shape()));
  const std::int64_t G = outputs.size(0);
  const Tensor flat = reshape(outputs, {G, shape.units() * classes});
  return reshape(fc3(fc2(fc1(flat))), {G, shape.k, classes});
}

void MlpDecoder::members(Members& m) {
  m.child("fc1", fc1);
  m.child("fc2", fc2);
  m.child("fc3", fc3);
}

std::int64_t MlpDecoder::multiply_adds() const {
  return fc1.weight.count() + fc2.weight.count() + fc3.weight.count();
}

}  // namespace understudy
