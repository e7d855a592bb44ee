// Every case of the op list (tests/ops): values against a naive reference in double, on every
// instruction set, with threads, in both types, dense and strided; and what the list cannot say.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <regex>
#include <set>

#include "engine/ops.h"
#include "kernels/elementwise.h"
#include "kernels/format.h"
#include "tests/ops/op_run.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

std::vector<Array> arrays_of(const OpCase& op) {
  std::vector<Array> arrays;
  for (const Operand& input : op.inputs) arrays.push_back(input.array);
  return arrays;
}

void check_value(const OpCase& op, const Setting& setting, const Array& expected) {
  const std::string where = op.name() + ", " + to_string(setting);
  CAPTURE(where);
  const Tensor y = op.apply(make_inputs(op, setting));
  CHECK(y.dtype() == op.result.value_or(setting.dtype));
  CHECK(y.shape() == expected.shape);
  // A float anywhere on the way limits the result.
  const bool in_float = setting.dtype == DType::f32 || op.result == DType::f32;
  const double limit = op.tolerance * unit_error(in_float ? DType::f32 : DType::f64);
  CHECK(worst_error(y, expected) <= limit);
}

template <class T>
bool same_bits(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<T>(), y = b.to_vector<T>();
  return x.size() == y.size() &&
         (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}
bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  return a.dtype() == DType::f32   ? same_bits<float>(a, b)
         : a.dtype() == DType::f64 ? same_bits<double>(a, b)
                                   : same_bits<std::int64_t>(a, b);
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("ops: every public op is in the op list") {
  std::ifstream header(UNDERSTUDY_TEST_FILES "/../engine/ops.h");
  REQUIRE(header.good());
  std::set<std::string> listed, declared;
  for (const OpCase& op : op_cases()) listed.insert(op.op);
  const std::regex declaration("^Tensor (\\w+)\\(.*");
  std::smatch match;
  for (std::string line; std::getline(header, line);)
    if (std::regex_match(line, match, declaration)) declared.insert(match[1]);
  CHECK(declared.size() >= 30);
  for (const std::string& name : declared) {
    CAPTURE(name);
    CHECK(listed.contains(name));
  }
}

TEST_CASE("ops: values on every instruction set, with one and two threads") {
  std::vector<Array> expected;
  for (const OpCase& op : op_cases()) expected.push_back(op.reference(arrays_of(op)));
  for (const CpuMode& mode : cpu_modes()) {
    const CpuModeScope scope(mode);
    const std::string cpu_mode = to_string(mode);
    CAPTURE(cpu_mode);
    for (const DType dtype : {DType::f32, DType::f64})
      for (std::size_t i = 0; i < op_cases().size(); ++i)
        check_value(op_cases()[i], {.dtype = dtype}, expected[i]);
  }
}

TEST_CASE("ops: values of strided inputs") {
  for (const OpCase& op : op_cases()) {
    const Array expected = op.reference(arrays_of(op));
    for (const Layout layout : {Layout::transposed, Layout::stepped})
      for (const DType dtype : {DType::f32, DType::f64})
        check_value(op, {.dtype = dtype, .layout = layout}, expected);
  }
}

TEST_CASE("ops: the same call gives the same bits") {
  const CpuModeScope scope(cpu_modes().back());
  for (const OpCase& op : op_cases()) {
    CAPTURE(op.name());
    const Setting setting{.dtype = DType::f32};
    CHECK(same_bits(op.apply(make_inputs(op, setting)), op.apply(make_inputs(op, setting))));
  }
}

// The other backends run the same list; here it compares them with the CPU.
TEST_CASE("ops: values on the other devices") {
  std::string why_none;
  const std::vector<Device> devices = other_devices(why_none);
  if (devices.empty()) {
    MESSAGE("[skipped] ", why_none);
    return;
  }
  for (const Device device : devices)
    for (const OpCase& op : op_cases())
      for (const Layout layout : all_layouts)
        check_value(op, {.dtype = DType::f32, .layout = layout, .device = device},
                    op.reference(arrays_of(op)));
}

// The list takes its references for pointwise ops from the formulas; these are other people's.
TEST_CASE("ops: pointwise formulas are what their names say") {
  using Function = double (*)(double);
  struct Known {
    Tensor (*op)(const Tensor&);
    Function function;
  };
  const Known known[] = {
      {neg, [](double x) { return 0 - x; }},
      {understudy::abs, [](double x) { return std::fabs(x); }},
      {square, [](double x) { return std::pow(x, 2); }},
      {understudy::sqrt, [](double x) { return std::sqrt(x); }},
      {reciprocal, [](double x) { return std::pow(x, -1); }},
      {understudy::exp, [](double x) { return std::exp(x); }},
      {understudy::log, [](double x) { return std::log(x); }},
      {understudy::tanh, [](double x) { return std::tanh(x); }},
      {sigmoid, [](double x) { return 0.5 * (1 + std::tanh(x / 2)); }},
      {relu, [](double x) { return std::fmax(x, 0); }},
  };
  const std::vector<double> points = {0.125, 0.5, 0.9, 1, 1.75, 3, 8, 20};
  for (const double sign : {1.0, -1.0})
    for (const DType dtype : {DType::f32, DType::f64})
      for (std::size_t i = 0; i < std::size(known); ++i) {
        CAPTURE(i);
        std::vector<double> x, expected;
        for (const double at : points) {
          const double value = known[i].function(static_cast<float>(sign * at));
          if (std::isnan(value)) continue;
          x.push_back(static_cast<float>(sign * at));
          expected.push_back(value);
        }
        const Shape shape{static_cast<std::int64_t>(x.size())};
        const Tensor y = known[i].op(cast(Tensor::from(x, shape), dtype));
        CHECK(worst_error(y, Array{shape, expected}) <= 2 * unit_error(dtype));
      }
  const Tensor x = Tensor::from(std::vector<double>{-2, 0.5, 3}, {3});
  CHECK(scale(x, -3).to_vector<double>() == std::vector<double>{6, -1.5, -9});
  CHECK(shift(x, 0.25).to_vector<double>() == std::vector<double>{-1.75, 0.75, 3.25});
  CHECK(clamp_min(x, 0.75).to_vector<double>() == std::vector<double>{0.75, 0.75, 3});
  const Tensor y = Tensor::from(std::vector<double>{-2, 4, -0.5}, {3});
  CHECK((x + y).to_vector<double>() == std::vector<double>{-4, 4.5, 2.5});
  CHECK((x - y).to_vector<double>() == std::vector<double>{0, -3.5, 3.5});
  CHECK((x * y).to_vector<double>() == std::vector<double>{4, 2, -1.5});
  CHECK((x / y).to_vector<double>() == std::vector<double>{1, 0.125, -6});
  CHECK(maximum(x, y).to_vector<double>() == std::vector<double>{-2, 4, 3});
  CHECK(minimum(x, y).to_vector<double>() == std::vector<double>{-2, 0.5, -0.5});
  CHECK(equal(x, y).to_vector<double>() == std::vector<double>{1, 0, 0});
  CHECK(less(x, y).to_vector<double>() == std::vector<double>{0, 1, 0});
  CHECK(greater(x, y).to_vector<double>() == std::vector<double>{0, 0, 1});
  CHECK((2 * x - 1).to_vector<double>() == std::vector<double>{-5, 0, 5});
  CHECK((-x / 2 + 1).to_vector<double>() == std::vector<double>{2, 0.75, -0.5});
}

TEST_CASE("ops: NaN, infinities and signed zeros follow the formula in double") {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> special = {0.0, -0.0, infinity, -infinity, std::nan("")};
  // 0: zero, 1: finite, 2: infinite, 3: NaN, with the sign where there is one.
  const auto kind = [](double x) {
    if (std::isnan(x)) return 3;
    const int size = x == 0 ? 0 : std::isinf(x) ? 2 : 1;
    return std::signbit(x) && size != 0 ? -size : size;
  };
  const auto compare = [&](const Tensor& y, const std::vector<double>& expected) {
    const std::vector<double> values = y.to_vector<double>();
    REQUIRE(values.size() == expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      CAPTURE(i);
      CHECK(kind(values[i]) == kind(expected[i]));
    }
  };
  for (const CpuMode& mode : cpu_modes()) {
    const CpuModeScope scope(mode);
    for (const DType dtype : {DType::f32, DType::f64})
      for (const OpCase& op : op_cases()) {
        const bool unary = op.inputs.size() == 1 && op.inputs[0].array.shape == Shape{1037};
        const bool binary = op.inputs.size() == 2 && op.inputs[1].array.shape == Shape{257};
        if (!unary && !binary) continue;
        const std::string where =
            op.name() + ", " + to_string(mode) + ", " + to_string(Setting{dtype});
        CAPTURE(where);
        // Repeated to the length of several vector registers and a rest.
        std::vector<Array> in(unary ? 1 : 2, Array{{125}, {}});
        for (int i = 0; i < 125; ++i) {
          in[0].values.push_back(special[static_cast<std::size_t>(i % 5)]);
          if (binary) in[1].values.push_back(special[static_cast<std::size_t>(i / 5 % 5)]);
        }
        std::vector<Tensor> inputs;
        for (const Array& array : in)
          inputs.push_back(make_tensor(array, dtype, Layout::dense, Device{}));
        compare(op.apply(inputs), op.reference(in).values);
      }
  }
}

TEST_CASE("ops: NaN is not lost by maxima, minima and ReLU") {
  const double nan = std::nan("");
  const Tensor x = Tensor::from(std::vector<double>{nan, 1, nan, 2}, {4});
  const Tensor y = Tensor::from(std::vector<double>{1, nan, nan, 3}, {4});
  for (const Tensor& z : {maximum(x, y), minimum(x, y)}) {
    const auto values = z.to_vector<double>();
    for (std::size_t i = 0; i < 3; ++i) CHECK(std::isnan(values[i]));
    CHECK(std::isfinite(values[3]));
  }
  CHECK(std::isnan(max(x, 0).item()));
  CHECK(argmax(x).item() == 0);
  CHECK(argmax(y).item() == 1);
  CHECK(std::isnan(relu(x).to_vector<double>()[0]));
  CHECK(std::isnan(clamp_min(x, 0).to_vector<double>()[0]));
  CHECK(std::isnan(sum(x).item()));
  // The one that is not chosen does not spread.
  const Tensor chosen = where(Tensor::from(std::vector<double>{0, 1, 1, 1}, {4}), x, y);
  CHECK(chosen.to_vector<double>()[0] == 1);
  CHECK(chosen.to_vector<double>()[1] == 1);
}

TEST_CASE("ops: the mean of nothing is NaN, its sum 0") {
  const Tensor nothing = Tensor::zeros({0, 3});
  CHECK(std::isnan(mean(nothing).item()));
  CHECK(sum(nothing).item() == 0);
  for (const float value : mean(nothing, {0}).to_vector<float>()) CHECK(std::isnan(value));
  CHECK(mean(nothing, {1}).shape() == Shape{0});
  CHECK(std::isnan(mse(nothing, nothing).item()));
}

TEST_CASE("ops: large logits neither overflow nor lose the answer") {
  const Tensor logits = Tensor::from(std::vector<float>{1e4f, 0, -1e4f, 88, 89, 90}, {2, 3});
  const Tensor label = Tensor::from(std::vector<std::int64_t>{1, 2}, {2});
  CHECK(softmax(logits).to_vector<float>()[0] == 1);
  CHECK(log_softmax(logits).to_vector<float>()[2] == -2e4f);
  const auto loss = cross_entropy(logits, label, Average::none).to_vector<float>();
  CHECK(loss[0] == 1e4f);
  CHECK(std::fabs(loss[1] - 0.40760596444438) <= 1e-6);
}

TEST_CASE("ops: softmax rows sum to one and are shifted freely") {
  Random random(5);
  const Array x = random_operand(random, {20, 33}, -5, 5).array;
  const Tensor logits = make_tensor(x, DType::f64, Layout::dense, {});
  const Tensor p = softmax(logits);
  CHECK(worst_error(sum(p, {1}), Tensor::ones({20}, DType::f64)) <= 1e-14);
  CHECK(worst_error(softmax(logits + 123.0), p) <= 1e-13);
}

TEST_SUITE_END();
