// Every differentiable case of the op list (tests/ops): gradients against central differences in
// double, and then everything else against those gradients.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/format.h"
#include "tests/error_text.h"
#include "tests/ops/op_run.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

std::vector<const OpCase*> differentiable_cases() {
  std::vector<const OpCase*> cases;
  for (const OpCase& op : op_cases())
    if (op.differentiable) cases.push_back(&op);
  return cases;
}

// The number whose gradients run_backward() gives: sum(result · seed).
double objective(const OpCase& op, const Setting& setting, const std::vector<Array>& arrays) {
  NoGradGuard no_grad;
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < arrays.size(); ++i)
    inputs.push_back(make_tensor(arrays[i], op.inputs[i].dtype.value_or(setting.dtype),
                                 setting.layout, setting.device));
  const Tensor y = op.apply(inputs);
  const std::vector<double> values = y.to_vector<double>(), seed = seed_of(y.shape()).values;
  double total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) total += values[i] * seed[i];
  return total;
}

// The largest |analytic - numeric| / (atol + rtol · |numeric|) over all elements of all inputs.
double gradient_error(const OpCase& op, const Setting& setting, const Gradient& gradient) {
  constexpr double eps = 1e-6, atol = 1e-5, rtol = 1e-3;
  std::vector<Array> arrays;
  for (const Operand& input : op.inputs) arrays.push_back(input.array);
  double worst = 0;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (!op.inputs[i].differentiable) continue;
    const std::vector<double> analytic = gradient.inputs[i].to_vector<double>();
    for (std::size_t j = 0; j < analytic.size(); ++j) {
      double& x = arrays[i].values[j];
      const double at = x;
      x = at + eps;
      const double above = objective(op, setting, arrays);
      x = at - eps;
      const double below = objective(op, setting, arrays);
      x = at;
      const double numeric = (above - below) / (2 * eps);
      const double error = std::fabs(analytic[j] - numeric) / (atol + rtol * std::fabs(numeric));
      if (!(error <= worst)) worst = error;
      if (std::isnan(worst)) return worst;
    }
  }
  return worst;
}

// Gradients are there, of their tensor's shape and type, dense and nobody else's.
void check_form(const OpCase& op, const Gradient& gradient, DType dtype) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    CAPTURE(i);
    const Tensor& dx = gradient.inputs[i];
    REQUIRE(dx.defined() == op.inputs[i].differentiable);
    if (!dx.defined()) continue;
    CHECK(dx.shape() == op.inputs[i].array.shape);
    CHECK(dx.dtype() == dtype);
    CHECK(dx.is_contiguous());
    CHECK(!dx.requires_grad());
  }
}

void compare(const OpCase& op, const Gradient& actual, const Gradient& expected, DType dtype) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    CAPTURE(i);
    if (op.inputs[i].differentiable)
      CHECK(worst_error(actual.inputs[i], expected.inputs[i]) <=
            8 * op.tolerance * unit_error(dtype));
  }
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("ops: gradients against central differences in double") {
  for (const OpCase* op : differentiable_cases()) {
    if (op->large) continue;
    for (const Layout layout : all_layouts) {
      const Setting setting{.layout = layout};
      const std::string where = op->name() + ", " + to_string(setting);
      CAPTURE(where);
      const Gradient gradient = run_backward(*op, setting);
      check_form(*op, gradient, DType::f64);
      CHECK(gradient_error(*op, setting, gradient) <= 1);
    }
  }
}

TEST_CASE("ops: gradients in both types on every instruction set, with one and two threads") {
  std::vector<Gradient> expected;
  for (const OpCase* op : differentiable_cases()) expected.push_back(run_backward(*op, {}));
  for (const CpuMode& mode : cpu_modes()) {
    const CpuModeScope scope(mode);
    for (const DType dtype : {DType::f32, DType::f64})
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const OpCase& op = *differentiable_cases()[i];
        const Setting setting{.dtype = dtype};
        const std::string where = op.name() + ", " + to_string(setting) + ", " + to_string(mode);
        CAPTURE(where);
        const Gradient actual = run_backward(op, setting);
        check_form(op, actual, dtype);
        compare(op, actual, expected[i], dtype);
      }
  }
}

TEST_CASE("ops: gradients of strided inputs in float") {
  for (const OpCase* op : differentiable_cases()) {
    const Gradient expected = run_backward(*op, {});
    for (const Layout layout : {Layout::transposed, Layout::stepped}) {
      const Setting setting{.dtype = DType::f32, .layout = layout};
      const std::string where = op->name() + ", " + to_string(setting);
      CAPTURE(where);
      compare(*op, run_backward(*op, setting), expected, DType::f32);
    }
  }
}

// What sum().backward() sends: one number, repeated by strides of 0.
TEST_CASE("ops: a gradient that repeats one number") {
  for (const OpCase* op : differentiable_cases()) {
    CAPTURE(op->name());
    std::vector<Gradient> both;
    for (const bool repeated : {false, true}) {
      std::vector<Tensor> inputs = make_inputs(*op, {});
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (op->inputs[i].differentiable) inputs[i].set_requires_grad(true);
      const Tensor y = op->apply(inputs);
      const Tensor one = Tensor::ones({}, DType::f64);
      y.backward(repeated ? broadcast_to(one, y.shape()) : Tensor::ones(y.shape(), DType::f64));
      both.push_back({y, {}});
      for (const Tensor& input : inputs) both.back().inputs.push_back(input.grad());
    }
    check_form(*op, both[1], DType::f64);
    compare(*op, both[1], both[0], DType::f64);
  }
}

// Each input alone: ops skip the work for gradients that nobody wants.
TEST_CASE("ops: gradients of one input while the others are frozen") {
  for (const OpCase* op : differentiable_cases()) {
    if (op->large || op->inputs.size() < 2 || op->inputs.size() > 3) continue;
    CAPTURE(op->name());
    const Gradient expected = run_backward(*op, {});
    for (std::size_t wanted = 0; wanted < op->inputs.size(); ++wanted) {
      if (!op->inputs[wanted].differentiable) continue;
      CAPTURE(wanted);
      std::vector<Tensor> inputs = make_inputs(*op, {});
      inputs[wanted].set_requires_grad(true);
      const Tensor y = op->apply(inputs);
      y.backward(make_tensor(seed_of(y.shape()), y.dtype(), Layout::dense, {}));
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        REQUIRE(inputs[i].grad().defined() == (i == wanted));
        if (i == wanted)
          CHECK(worst_error(inputs[i].grad(), expected.inputs[i]) <= unit_error(DType::f64));
      }
    }
  }
}

TEST_CASE("ops: results without a gradient") {
  for (const OpCase& op : op_cases()) {
    if (op.differentiable) continue;
    CAPTURE(op.name());
    std::vector<Tensor> inputs = make_inputs(op, {});
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (!op.inputs[i].dtype) inputs[i].set_requires_grad(true);
    // A result that takes no gradient, or a refusal that says so.
    const std::string refusal = error_text([&] { CHECK(!op.apply(inputs).requires_grad()); });
    CHECK((refusal == "(no error)" || refusal.find("has no gradient") != std::string::npos));
  }
}

TEST_CASE("ops: gradients on the other devices") {
  std::string why_none;
  const std::vector<Device> devices = other_devices(why_none);
  if (devices.empty()) {
    MESSAGE("[skipped] ", why_none);
    return;
  }
  for (const Device device : devices)
    for (const OpCase* op : differentiable_cases()) {
      CAPTURE(op->name());
      const Gradient expected = run_backward(*op, {});
      for (const Layout layout : all_layouts)
        compare(*op, run_backward(*op, {.dtype = DType::f32, .layout = layout, .device = device}),
                expected, DType::f32);
    }
}

TEST_CASE("ops: where inputs tie") {
  const Tensor x = Tensor::from(std::vector<double>{2, 2, 1, 2}, {1, 4}).set_requires_grad(true);
  max(x, 1).backward();
  CHECK(x.grad().to_vector<double>() ==
        std::vector<double>{1 / 3., 1 / 3., 0, 1 / 3.});  // shared by equals
  // At a kink a gradient is given to one side, never to both or to none.
  Tensor a = Tensor::from(std::vector<double>{1}, {1}), b = clone(a);
  a.set_requires_grad(true), b.set_requires_grad(true);
  (maximum(a, b) + minimum(a, b)).backward();
  CHECK(a.grad().item() + b.grad().item() == 2);
  Tensor zero = Tensor::zeros({1}, DType::f64);
  zero.set_requires_grad(true);
  (relu(zero) + understudy::abs(zero)).backward();
  CHECK(zero.grad().item() == 0);
}

TEST_SUITE_END();
