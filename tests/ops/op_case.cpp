#include "tests/ops/op_case.h"

#include <algorithm>
#include <numeric>

#include "kernels/format.h"

namespace understudy::testing {

std::string OpCase::name() const {
  std::string text = op;
  for (const Operand& input : inputs) text += " " + to_string(input.array.shape);
  return note.empty() ? text : text + " " + note;
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> all = [] {
    std::vector<OpCase> cases;
    add_pointwise_cases(cases);
    add_shape_cases(cases);
    add_reduction_cases(cases);
    add_product_cases(cases);
    add_row_cases(cases);
    add_conv_cases(cases);
    add_norm_cases(cases);
    add_pool_cases(cases);
    return cases;
  }();
  return all;
}

// Not a distribution of the standard library: those differ between libraries.
double random_value(Random& random, double low, double high) {
  const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
  return static_cast<float>(low + (high - low) * unit);
}

Operand random_operand(Random& random, const Shape& shape, double low, double high) {
  Operand out = operand(shape, {});
  for (double& value : out.array.values) value = random_value(random, low, high);
  return out;
}

Operand distinct_operand(Random& random, const Shape& shape) {
  Operand out = operand(shape, {});
  std::vector<double>& values = out.array.values;
  std::iota(values.begin(), values.end(), -0.5 * static_cast<double>(values.size()));
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
  for (double& value : values)
    value = static_cast<float>(0.1 * value + random_value(random, 0, 0.04));
  return out;
}

Operand index_operand(Random& random, std::int64_t count, std::int64_t bound) {
  Operand out = operand({count}, {});
  for (double& value : out.array.values)
    value = static_cast<double>(random() % static_cast<std::uint64_t>(bound));
  out.dtype = DType::i64;
  out.differentiable = false;
  return out;
}

Operand operand(const Shape& shape, std::vector<double> values) {
  values.resize(static_cast<std::size_t>(shape.count()));
  return {{shape, std::move(values)}, {}, true};
}

void for_each_position(const Shape& shape, const std::function<void(const Position&)>& body) {
  if (shape.count() == 0) return;
  Position at(static_cast<std::size_t>(shape.rank()), 0);
  for (;;) {
    body(at);
    int axis = shape.rank() - 1;
    while (axis >= 0 && ++at[static_cast<std::size_t>(axis)] == shape[axis])
      at[static_cast<std::size_t>(axis--)] = 0;
    if (axis < 0) return;
  }
}

double element(const Array& array, const Position& at) {
  const auto skipped = at.size() - static_cast<std::size_t>(array.shape.rank());
  std::int64_t place = 0;
  for (int axis = 0; axis < array.shape.rank(); ++axis) {
    const std::int64_t size = array.shape[axis];
    place = place * size + (size == 1 ? 0 : at[skipped + static_cast<std::size_t>(axis)]);
  }
  return array.values[static_cast<std::size_t>(place)];
}

Array tabulate(const Shape& shape, const std::function<double(const Position&)>& value) {
  Array out{shape, {}};
  for_each_position(shape, [&](const Position& at) { out.values.push_back(value(at)); });
  return out;
}

}  // namespace understudy::testing
