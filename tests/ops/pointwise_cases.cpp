// Cases of every op in the tables of kernels/elementwise.h, made from the tables: the public op is
// called by the table's name (an op without one does not compile), the value is the formula in
// double, and the inputs stay away from poles and kinks, which are found by looking at the formula.
// That the formulas themselves are right is checked against the C library in engine_ops_value.cpp.
#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "kernels/check.h"
#include "kernels/elementwise.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

constexpr double parameter = 0.75;  // p of the ops that have one; exact in float
constexpr double reach = 0.05;      // how far from a kink inputs stay

bool is_smooth(double before, double after) {
  return std::isfinite(before) && std::isfinite(after) &&
         std::fabs(after - before) <= 0.2 * (1 + std::fabs(before));
}

template <Unary op>
bool is_smooth_at(double x) {
  using F = UnaryFormula<op>;
  const auto slope = [](double at) {
    return F::slope(at, F::template value<double>(at, parameter), parameter);
  };
  return is_smooth(slope(x - reach), slope(x + reach)) &&
         std::isfinite(F::template value<double>(x, parameter));
}

template <Binary op>
bool is_smooth_at(double a, double b) {
  using F = BinaryFormula<op>;
  if constexpr (F::differentiable) {
    const auto da = [](double a, double b) { return F::da(a, b, F::value(a, b)); };
    const auto db = [](double a, double b) { return F::db(a, b, F::value(a, b)); };
    for (const double step : {-reach, reach})
      if (!is_smooth(da(a - reach, b + step), da(a + reach, b - step)) ||
          !is_smooth(db(a - reach, b + step), db(a + reach, b - step)))
        return false;
  }
  return std::isfinite(F::value(a, b));
}

template <Unary op>
Operand smooth_operand(Random& random, const Shape& shape) {
  Operand out = operand(shape, {});
  int left = 100 * (static_cast<int>(shape.count()) + 10);
  for (double& value : out.array.values) do {
      value = random_value(random, -2.5, 2.5);
      check(--left > 0, "{}: no inputs where it is finite and smooth", to_string(op));
    } while (!is_smooth_at<op>(value));
  return out;
}

// Values such that the op is smooth at every pair of one of `a` and one of `b`, which broadcasting
// may bring together.
struct Pools {
  std::vector<double> a, b;
};
template <Binary op>
Pools smooth_pools(Random& random) {
  std::vector<double> a, b;
  for (double at = -2.5; at <= 2.5; at += 0.5) {
    a.push_back(at + random_value(random, -0.03, 0.03));
    b.push_back(at + 0.25 + random_value(random, -0.03, 0.03));
  }
  const auto rounded = [](std::vector<double>& values) {
    for (double& value : values) value = static_cast<float>(value);
  };
  rounded(a), rounded(b);
  std::erase_if(a, [&](double x) {
    return 2 * std::ranges::count_if(b, [&](double y) { return is_smooth_at<op>(x, y); }) <
           std::ssize(b);
  });
  std::erase_if(b, [&](double y) {
    return !std::ranges::all_of(a, [&](double x) { return is_smooth_at<op>(x, y); });
  });
  check(a.size() >= 4 && b.size() >= 4, "{}: no inputs where it is finite and smooth",
        to_string(op));
  return {a, b};
}

Operand from_pool(Random& random, const Shape& shape, const std::vector<double>& pool) {
  Operand out = operand(shape, {});
  for (double& value : out.array.values) value = pool[random() % pool.size()];
  return out;
}

bool is_large(const Shape& shape) { return shape.count() > 2000; }

template <Unary op, class Call>
void add_unary(std::vector<OpCase>& cases, Call call) {
  // 33 and 1037 end in the middle of a vector register; the last is enough for two threads.
  const Shape shapes[] = {{},        {0},       {1},       {7},    {5, 3},
                          {3, 0, 2}, {2, 1, 4}, {0, 3},    {1, 1}, {2, 3, 1, 2, 2},
                          {1, 33},   {1037},    {40, 1000}};
  for (const Shape& shape : shapes) {
    Random random(static_cast<std::uint64_t>(shape.count()) + 1000);
    cases.push_back({.op = to_string(op),
                     .inputs = {smooth_operand<op>(random, shape)},
                     .apply = [call](std::span<const Tensor> in) { return call(in[0], parameter); },
                     .reference =
                         [](std::span<const Array> in) {
                           Array out = in[0];
                           for (double& x : out.values)
                             x = UnaryFormula<op>::template value<double>(x, parameter);
                           return out;
                         },
                     .tolerance = 2,
                     .large = is_large(shape)});
  }
}

struct Pair {
  Shape a, b;
};

template <Binary op, class Call>
void add_binary(std::vector<OpCase>& cases, Call call) {
  const Pair pairs[] = {{{}, {}},
                        {{4}, {4}},
                        {{}, {3}},
                        {{3}, {}},
                        {{3, 1}, {1, 4}},
                        {{2, 3, 4}, {4}},
                        {{2, 3, 4}, {3, 1}},
                        {{3}, {2, 1, 3}},
                        {{0}, {1}},
                        {{0, 3}, {3}},
                        {{1, 3}, {0, 1}},
                        {{2, 0, 3}, {3}},
                        {{2, 1, 3}, {4, 1}},
                        {{2, 1, 2, 1, 2}, {1, 3, 1, 2, 1}},
                        {{7, 37}, {37}},
                        {{257}, {257}},
                        {{257}, {}},
                        {{40, 1000}, {1000}},
                        {{40, 1000}, {40, 1}}};
  Random random(7);
  const Pools pools = smooth_pools<op>(random);
  for (const Pair& pair : pairs) {
    // Comparisons are of interest where values are equal.
    constexpr bool differentiable = BinaryFormula<op>::differentiable;
    const std::vector<double> few = {-1, 0, 1, 1.5};
    cases.push_back(
        {.op = to_string(op),
         .inputs = {from_pool(random, pair.a, differentiable ? pools.a : few),
                    from_pool(random, pair.b, differentiable ? pools.b : few)},
         .apply = [call](std::span<const Tensor> in) { return call(in[0], in[1]); },
         .reference =
             [](std::span<const Array> in) {
               return tabulate(broadcast("", in[0].shape, in[1].shape), [&](const Position& at) {
                 return BinaryFormula<op>::value(element(in[0], at), element(in[1], at));
               });
             },
         .differentiable = differentiable,
         .large = is_large(pair.a)});
  }
}

void add_where(std::vector<OpCase>& cases) {
  struct Triple {
    Shape condition, a, b;
  };
  const Triple triples[] = {
      {{}, {}, {}},         {{5}, {5}, {5}},       {{3, 1}, {1, 4}, {2, 1, 1}},
      {{4}, {2, 4}, {}},    {{2, 3}, {}, {3}},     {{0}, {1}, {0}},
      {{3, 0}, {3, 1}, {}}, {{257}, {257}, {257}}, {{40, 1000}, {1000}, {40, 1}}};
  Random random(11);
  for (const Triple& shape : triples) {
    Operand condition = from_pool(random, shape.condition, {0, 1, -0.0, -2});
    condition.differentiable = false;
    cases.push_back(
        {.op = "where",
         .inputs = {condition, random_operand(random, shape.a), random_operand(random, shape.b)},
         .apply = [](std::span<const Tensor> in) { return where(in[0], in[1], in[2]); },
         .reference =
             [](std::span<const Array> in) {
               const Shape all =
                   broadcast("", in[0].shape, broadcast("", in[1].shape, in[2].shape));
               return tabulate(all, [&](const Position& at) {
                 return element(element(in[0], at) != 0 ? in[1] : in[2], at);
               });
             },
         .large = is_large(shape.condition)});
  }
}

}  // namespace

void add_pointwise_cases(std::vector<OpCase>& cases) {
#define UNDERSTUDY_CASE(name, ...)                                             \
  add_unary<Unary::name>(cases, [](const auto& x, [[maybe_unused]] double p) { \
    if constexpr (requires { understudy::name(x, p); })                        \
      return understudy::name(x, p);                                           \
    else                                                                       \
      return understudy::name(x);                                              \
  });
  UNDERSTUDY_UNARY(UNDERSTUDY_CASE)
#undef UNDERSTUDY_CASE
#define UNDERSTUDY_CASE(name, ...) \
  add_binary<Binary::name>(        \
      cases, [](const Tensor& a, const Tensor& b) { return understudy::name(a, b); });
  UNDERSTUDY_BINARY(UNDERSTUDY_CASE)
  UNDERSTUDY_COMPARE(UNDERSTUDY_CASE)
#undef UNDERSTUDY_CASE
  add_where(cases);
}

}  // namespace understudy::testing
