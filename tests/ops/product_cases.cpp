// Cases of matrix products, the fused linear layer and the positive definite solve.
#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "kernels/check.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

Shape leading(const Shape& shape) {
  Shape out;
  for (int i = 0; i < shape.rank() - 2; ++i) out.push_back(shape[i]);
  return out;
}

Array product(const Array& a, const Array& b) {
  const std::int64_t K = a.shape.back();
  Shape shape = broadcast("", leading(a.shape), leading(b.shape));
  shape.push_back(a.shape[a.shape.rank() - 2]);
  shape.push_back(b.shape.back());
  return tabulate(shape, [&](const Position& at) {
    Position at_a = at, at_b = at;
    double sum = 0;
    for (std::int64_t k = 0; k < K; ++k) {
      at_a.back() = k;
      at_b[at_b.size() - 2] = k;
      sum += element(a, at_a) * element(b, at_b);
    }
    return sum;
  });
}

void add_matmul(std::vector<OpCase>& cases) {
  struct Case {
    Shape a, b;
  };
  Random random(53);
  for (const Case& c : {Case{{1, 1}, {1, 1}},          Case{{3, 4}, {4, 5}},
                        Case{{3, 0}, {0, 4}},          Case{{0, 3}, {3, 2}},
                        Case{{2, 3}, {3, 0}},          Case{{1, 7}, {7, 1}},
                        Case{{7, 1}, {1, 7}},          Case{{1, 5}, {5, 6}},
                        Case{{6, 5}, {5, 1}},          Case{{2, 3, 4}, {2, 4, 5}},
                        Case{{2, 1, 3, 4}, {3, 4, 2}}, Case{{3, 4}, {2, 4, 5}},
                        Case{{2, 3, 4}, {4, 2}},       Case{{0, 2, 3}, {3, 4}},
                        Case{{2, 2, 0}, {0, 3}},       Case{{2, 1, 2, 2, 3}, {2, 1, 3, 2}},
                        Case{{17, 33}, {33, 9}},       Case{{70, 130}, {130, 66}},
                        Case{{1, 1500}, {1500, 700}},  Case{{700, 1500}, {1500, 1}}})
    cases.push_back({.op = "matmul",
                     .inputs = {random_operand(random, c.a), random_operand(random, c.b)},
                     .apply = [](Inputs in) { return matmul(in[0], in[1]); },
                     .reference = [](Arrays in) { return product(in[0], in[1]); },
                     .tolerance = 10 + static_cast<double>(c.a.back()),
                     .large = c.a.count() + c.b.count() > 2000});
}

// x · weightᵀ + bias, before the activation.
Array affine(Arrays in) {
  const Array& x = in[0];
  const Array& weight = in[1];
  Shape shape = x.shape;
  shape.pop_back();
  shape.push_back(weight.shape[0]);
  return tabulate(shape, [&](const Position& at) {
    Position at_x = at;
    double sum = in.size() == 3 ? in[2].values[static_cast<std::size_t>(at.back())] : 0;
    for (std::int64_t k = 0; k < x.shape.back(); ++k) {
      at_x.back() = k;
      sum += element(x, at_x) * element(weight, {at.back(), k});
    }
    return sum;
  });
}

// No activation closer to the kink of ReLU than differences can see.
bool is_away_from_zero(const Array& y) {
  return std::ranges::all_of(y.values, [](double v) { return std::fabs(v) > 1e-3; });
}

void add_linear(std::vector<OpCase>& cases) {
  struct Case {
    Shape x;
    std::int64_t out;
  };
  Random random(59);
  for (const Case& c :
       {Case{{4}, 3}, Case{{2, 4}, 3}, Case{{1, 1}, 1}, Case{{2, 3, 4}, 5}, Case{{0, 4}, 3},
        Case{{3, 0}, 2}, Case{{2, 4}, 0}, Case{{1, 9}, 5}, Case{{9, 3}, 1}, Case{{2, 1, 2, 3}, 2},
        Case{{19, 35}, 11}, Case{{64, 200}, 100}})
    for (const bool with_bias : {true, false})
      for (const Activation activation : {Activation::none, Activation::relu}) {
        const bool relu = activation == Activation::relu;
        if (relu && !with_bias && c.x.back() == 0) continue;  // all at the kink
        OpCase result{
            .op = "linear",
            .note = fmt::format("{} bias{}", with_bias ? "with" : "without", relu ? ", relu" : ""),
            .tolerance = 10 + static_cast<double>(c.x.back()),
            .large = c.x.count() > 2000};
        int attempts = 0;
        do {
          check(++attempts < 1000, "linear {}: always at the kink", to_string(c.x));
          result.inputs = {random_operand(random, c.x),
                           random_operand(random, {c.out, c.x.back()})};
          if (with_bias) result.inputs.push_back(random_operand(random, {c.out}));
          std::vector<Array> arrays;
          for (const Operand& input : result.inputs) arrays.push_back(input.array);
          if (!relu || result.large || is_away_from_zero(affine(arrays))) break;
        } while (true);
        result.apply = [activation](Inputs in) {
          return linear(in[0], in[1], in.size() == 3 ? in[2] : Tensor(), activation);
        };
        result.reference = [relu](Arrays in) {
          Array y = affine(in);
          if (relu)
            for (double& value : y.values) value = std::fmax(value, 0.0);
          return y;
        };
        cases.push_back(std::move(result));
      }
}

// Gaussian elimination with pivoting.
Array solved(Arrays in) {
  Array a = in[0], x = in[1];
  const auto n = static_cast<std::size_t>(a.shape[0]), m = static_cast<std::size_t>(x.shape[1]);
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::fabs(a.values[i * n + k]) > std::fabs(a.values[pivot * n + k])) pivot = i;
    for (std::size_t j = 0; j < n; ++j) std::swap(a.values[k * n + j], a.values[pivot * n + j]);
    for (std::size_t j = 0; j < m; ++j) std::swap(x.values[k * m + j], x.values[pivot * m + j]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a.values[i * n + k] / a.values[k * n + k];
      for (std::size_t j = k; j < n; ++j) a.values[i * n + j] -= factor * a.values[k * n + j];
      for (std::size_t j = 0; j < m; ++j) x.values[i * m + j] -= factor * x.values[k * m + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < m; ++j) x.values[i * m + j] /= a.values[i * n + i];
  return x;
}

void add_solve(std::vector<OpCase>& cases) {
  Random random(61);
  for (const auto& [n, m] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 2}, {8, 1}, {5, 0}, {0, 2}, {40, 7}}) {
    // A Gram matrix plus the identity, symmetric after rounding too.
    const Array g = random_operand(random, {n, n}).array;
    Operand a = operand({n, n}, {});
    a.array = tabulate({n, n}, [&, n = n](const Position& at) {
      double sum = at[0] == at[1] ? 1 : 0;
      for (std::int64_t k = 0; k < n; ++k) sum += element(g, {at[0], k}) * element(g, {at[1], k});
      return static_cast<double>(static_cast<float>(sum));
    });
    cases.push_back({.op = "solve_spd",
                     .inputs = {a, random_operand(random, {n, m})},
                     .apply = [](Inputs in) { return solve_spd(in[0], in[1]); },
                     .reference = solved,
                     .differentiable = false,
                     .tolerance = 100});
  }
}

}  // namespace

void add_product_cases(std::vector<OpCase>& cases) {
  add_matmul(cases);
  add_linear(cases);
  add_solve(cases);
}

}  // namespace understudy::testing
