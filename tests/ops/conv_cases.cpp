// Cases of 2-d convolution.
#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "kernels/check.h"
#include "tests/conv_reference.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

Array convolution(const Array& x, const Array& w, const Conv2d& conv) {
  const ConvProblem problem{.N = x.shape[0],
                            .H = x.shape[1],
                            .W = x.shape[2],
                            .C = x.shape[3],
                            .K = w.shape[0],
                            .R = w.shape[1],
                            .S = w.shape[2],
                            .conv = conv};
  const Shape shape{problem.N, problem.P(), problem.Q(), problem.K};
  const std::vector<double> no_gradient(static_cast<std::size_t>(shape.count()));
  return {shape, conv_reference(problem, x.values, w.values, no_gradient).y};
}

struct Case {
  Shape x, w;
  Conv2d conv;
};

std::vector<Case> conv_shapes() {
  const Conv2d same{.padding = 1};
  return {{{1, 1, 1, 1}, {1, 1, 1, 1}, {}},
          {{2, 3, 4, 3}, {2, 1, 1, 3}, {}},
          {{2, 4, 4, 2}, {3, 1, 1, 2}, {.stride = 2}},
          {{1, 5, 6, 2}, {3, 3, 3, 2}, same},
          {{2, 4, 3, 1}, {2, 3, 3, 1}, same},
          {{1, 6, 5, 2}, {2, 3, 3, 2}, {.stride = 2, .padding = 1}},
          {{1, 9, 9, 1}, {2, 3, 3, 1}, {.padding = 4, .dilation = 4}},
          {{1, 5, 4, 2}, {2, 2, 3, 2}, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}}},
          {{0, 4, 4, 2}, {3, 3, 3, 2}, same},
          {{2, 12, 11, 18}, {35, 3, 3, 18}, same},
          {{1, 17, 16, 20}, {40, 3, 3, 20}, {.padding = 8, .dilation = 8}}};
}

std::string note(const Case& c) {
  return fmt::format("stride {}x{} padding {}x{} dilation {}x{}", c.conv.stride.height,
                     c.conv.stride.width, c.conv.padding.height, c.conv.padding.width,
                     c.conv.dilation.height, c.conv.dilation.width);
}

// No activation closer to the kink of ReLU than differences can see.
bool is_away_from_zero(const Array& y) {
  return std::ranges::all_of(y.values, [](double v) { return std::fabs(v) > 1e-3; });
}

// conv2d with and without bias and ReLU, conv2d_affine with and without residual.
struct Variant {
  bool affine, added, relu;  // `added`: the bias or the residual
};

Array reference(const Case& c, const Variant& v, Arrays in) {
  Array y = convolution(in[0], in[1], c.conv);
  const auto K = static_cast<std::size_t>(c.w[0]);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    double& value = y.values[i];
    if (v.affine) value = value * in[2].values[i % K] + in[3].values[i % K];
    if (v.affine && v.added) value += in[4].values[i];
    if (!v.affine && v.added) value += in[2].values[i % K];
    if (v.relu) value = std::fmax(value, 0.0);
  }
  return y;
}

Tensor apply(const Conv2d& conv, const Variant& v, Inputs in) {
  const Activation activation = v.relu ? Activation::relu : Activation::none;
  if (v.affine)
    return conv2d_affine(in[0], in[1], in[2], in[3], v.added ? in[4] : Tensor(), conv, activation);
  return conv2d(in[0], in[1], v.added ? in[2] : Tensor(), conv, activation);
}

OpCase conv_case(Random& random, const Case& c, const Variant& v) {
  OpCase result{
      .op = v.affine ? "conv2d_affine" : "conv2d",
      .note = fmt::format("{}{}{}", note(c), v.added ? ", added" : "", v.relu ? ", relu" : ""),
      .differentiable = !v.affine,
      .tolerance = 40 + 2 * static_cast<double>(c.w.count() / std::max<std::int64_t>(1, c.w[0])),
      .large = c.x.count() * c.w.count() > 20000};
  int attempts = 0;
  do {
    check(++attempts < 1000, "conv2d {}: always at the kink", to_string(c.x));
    result.inputs = {random_operand(random, c.x, -1, 1), random_operand(random, c.w, -1, 1)};
    const Shape filters{c.w[0]};
    if (v.affine) {
      result.inputs.push_back(random_operand(random, filters));
      result.inputs.push_back(random_operand(random, filters));
      if (v.added)
        result.inputs.push_back(random_operand(
            random, convolution(result.inputs[0].array, result.inputs[1].array, c.conv).shape));
      for (Operand& input : result.inputs) input.differentiable = false;
    } else if (v.added) {
      result.inputs.push_back(random_operand(random, filters));
    }
    std::vector<Array> arrays;
    for (const Operand& input : result.inputs) arrays.push_back(input.array);
    if (!v.relu || result.large ||
        is_away_from_zero(reference(c, {v.affine, v.added, false}, arrays)))
      break;
  } while (true);
  result.apply = [conv = c.conv, v](Inputs in) { return apply(conv, v, in); };
  result.reference = [c, v](Arrays in) { return reference(c, v, in); };
  return result;
}

// Sample by sample, gradient by gradient; the inputs are the gradients and then the images.
Array squares(const Case& c, Arrays in) {
  const Array& x = in.back();
  ConvProblem one{.N = 1,
                  .H = c.x[1],
                  .W = c.x[2],
                  .C = c.x[3],
                  .K = c.w[0],
                  .R = c.w[1],
                  .S = c.w[2],
                  .conv = c.conv};
  const auto sample = [&](const Array& a, std::int64_t n) {
    const std::int64_t count = a.shape.count() / c.x[0];
    return std::vector<double>(a.values.begin() + n * count, a.values.begin() + (n + 1) * count);
  };
  Array sums{c.w, std::vector<double>(static_cast<std::size_t>(c.w.count()))};
  for (std::int64_t n = 0; n < c.x[0]; ++n)
    for (const Array& dy : in.first(in.size() - 1)) {
      const auto dw = conv_reference(one, sample(x, n), sums.values, sample(dy, n)).dw;
      for (std::size_t i = 0; i < dw.size(); ++i) sums.values[i] += dw[i] * dw[i];
    }
  return sums;
}

OpCase squares_case(Random& random, const Case& c, int gradients) {
  const Operand x = random_operand(random, c.x, -1, 1), w = random_operand(random, c.w, -1, 1);
  const Array y = convolution(x.array, w.array, c.conv);
  OpCase result{.op = "conv2d_squared_weight_gradients",
                .note = note(c),
                .differentiable = false,
                .tolerance = 100,
                .large = c.x.count() * c.w.count() > 20000};
  for (int d = 0; d < gradients; ++d)
    result.inputs.push_back(random_operand(random, y.shape, -1, 1));
  result.inputs.push_back(x);
  for (Operand& input : result.inputs) input.differentiable = false;
  result.apply = [c](Inputs in) {
    return conv2d_squared_weight_gradients(in.first(in.size() - 1), in.back(), {c.w[1], c.w[2]},
                                           c.conv);
  };
  result.reference = [c](Arrays in) { return squares(c, in); };
  return result;
}

}  // namespace

void add_conv_cases(std::vector<OpCase>& cases) {
  Random random(67);
  for (const Case& c : conv_shapes())
    for (const int gradients : {1, 3}) cases.push_back(squares_case(random, c, gradients));
  for (const Case& c : conv_shapes())
    for (const Variant& v :
         {Variant{false, false, false}, Variant{false, true, false}, Variant{false, true, true},
          Variant{true, false, false}, Variant{true, true, true}})
      cases.push_back(conv_case(random, c, v));
}

}  // namespace understudy::testing
