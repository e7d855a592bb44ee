// The list of op cases: data that every mode of testing runs over. A case is an op, its inputs and
// what a naive reference in double makes of them; the modes (engine_ops_*.cpp) are values,
// gradients, strided inputs, instruction sets, threads and devices. A new op is one more entry; a
// new pointwise op of kernels/elementwise.h is in the list by itself.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace understudy::testing {

// What references compute on: dense, row-major.
struct Array {
  Shape shape;
  std::vector<double> values;
};

struct Operand {
  Array array;                 // values are exact in float
  std::optional<DType> dtype;  // of labels, indices and bytes; others run as float and as double
  bool differentiable = true;  // false: the op promises no gradient to it
};

struct OpCase {
  std::string op;    // the function of engine/ops.h
  std::string note;  // what is special about the case
  std::vector<Operand> inputs;
  std::function<Tensor(std::span<const Tensor>)> apply;
  std::function<Array(std::span<const Array>)> reference;
  bool differentiable = true;
  std::optional<DType> result;  // where it is not the inputs' dtype
  double tolerance = 1;         // times what rounding costs a single operation
  bool large = false;           // enough for several threads, too much for numerical gradients

  std::string name() const;  // "add (3,1) (1,4)"
};

// All cases, made once.
const std::vector<OpCase>& op_cases();

// The parts of the list.
void add_pointwise_cases(std::vector<OpCase>& cases);
void add_shape_cases(std::vector<OpCase>& cases);
void add_reduction_cases(std::vector<OpCase>& cases);
void add_product_cases(std::vector<OpCase>& cases);
void add_row_cases(std::vector<OpCase>& cases);
void add_conv_cases(std::vector<OpCase>& cases);
void add_norm_cases(std::vector<OpCase>& cases);
void add_pool_cases(std::vector<OpCase>& cases);

// ---- inputs ----

using Random = std::mt19937_64;

// In [low, high), rounded to float.
double random_value(Random& random, double low, double high);
Operand random_operand(Random& random, const Shape& shape, double low = -2, double high = 2);
// No two values closer than 0.05, for ops that choose among them.
Operand distinct_operand(Random& random, const Shape& shape);
// int64 in [0, bound).
Operand index_operand(Random& random, std::int64_t count, std::int64_t bound);
Operand operand(const Shape& shape, std::vector<double> values);

// ---- references ----

using Position = std::vector<std::int64_t>;  // one index per axis

// Row-major, every position once.
void for_each_position(const Shape& shape, const std::function<void(const Position&)>& body);
// The element at `at`; axes of size 1 repeat and missing leading axes are ignored, as in NumPy.
double element(const Array& array, const Position& at);
// The array of `shape` whose elements are value(position).
Array tabulate(const Shape& shape, const std::function<double(const Position&)>& value);

}  // namespace understudy::testing
