// Cases of softmax and the losses.
#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

// log softmax over the last axis, by its definition, shifted by the largest.
Array log_softmax_of(const Array& x) {
  Array y = x;
  const auto C = static_cast<std::size_t>(x.shape.back());
  for (std::size_t row = 0; C > 0 && row < x.values.size(); row += C) {
    const auto first = x.values.begin() + static_cast<std::ptrdiff_t>(row);
    const double most = *std::max_element(first, first + static_cast<std::ptrdiff_t>(C));
    double sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(x.values[row + c] - most);
    for (std::size_t c = 0; c < C; ++c)
      y.values[row + c] = x.values[row + c] - most - std::log(sum);
  }
  return y;
}

Array averaged(std::vector<double> values, const Shape& shape, Average average) {
  if (average == Average::none) return {shape, std::move(values)};
  long double total = 0;
  for (const double value : values) total += value;
  const double sum = static_cast<double>(total);
  return {{}, {average == Average::sum ? sum : sum / static_cast<double>(values.size())}};
}

struct Averaging {
  Average average;
  const char* note;
};
constexpr Averaging averagings[] = {
    {Average::none, "each"}, {Average::mean, "mean"}, {Average::sum, "sum"}};

void add_softmax(std::vector<OpCase>& cases) {
  struct Case {
    Shape shape;
    double range;
  };
  Random random(67);
  for (const Case& c : {Case{{1}, 2}, Case{{6}, 2}, Case{{4, 10}, 3}, Case{{3, 1}, 2},
                        Case{{0, 4}, 2}, Case{{3, 0}, 2}, Case{{2, 3, 5}, 2}, Case{{3, 37}, 4},
                        Case{{2, 4}, 60}, Case{{1, 2, 1, 2, 3}, 2}, Case{{100, 130}, 5}})
    for (const bool log : {false, true})
      cases.push_back(
          {.op = log ? "log_softmax" : "softmax",
           .inputs = {random_operand(random, c.shape, -c.range, c.range)},
           .apply = [log](Inputs in) { return log ? log_softmax(in[0]) : softmax(in[0]); },
           .reference =
               [log](Arrays in) {
                 Array y = log_softmax_of(in[0]);
                 if (!log)
                   for (double& value : y.values) value = std::exp(value);
                 return y;
               },
           .tolerance = 10,
           .large = c.shape.count() > 2000});
}

void add_cross_entropy(std::vector<OpCase>& cases) {
  struct Case {
    std::int64_t N, C;
    double range;
  };
  Random random(71);
  for (const Case& c : {Case{1, 1, 2}, Case{5, 10, 3}, Case{3, 37, 4}, Case{4, 3, 60},
                        Case{0, 4, 2}, Case{300, 40, 5}})
    for (const auto& [average, note] : averagings) {
      if (c.N == 0 && average == Average::mean) continue;  // NaN
      cases.push_back(
          {.op = "cross_entropy",
           .note = note,
           .inputs = {random_operand(random, {c.N, c.C}, -c.range, c.range),
                      index_operand(random, c.N, c.C)},
           .apply = [average = average](Inputs in) { return cross_entropy(in[0], in[1], average); },
           .reference =
               [average = average](Arrays in) {
                 const Array log_p = log_softmax_of(in[0]);
                 std::vector<double> loss;
                 for (std::int64_t i = 0; i < in[0].shape[0]; ++i)
                   loss.push_back(-element(
                       log_p,
                       {i, static_cast<std::int64_t>(in[1].values[static_cast<std::size_t>(i)])}));
                 return averaged(std::move(loss), in[1].shape, average);
               },
           .tolerance = 10,
           .large = c.N * c.C > 2000});
    }
}

void add_mse(std::vector<OpCase>& cases) {
  Random random(73);
  for (const Shape& shape :
       {Shape{}, Shape{5}, Shape{3, 4}, Shape{0, 4}, Shape{2, 1, 3, 2, 2}, Shape{40, 1000}})
    for (const auto& [average, note] : averagings) {
      if (shape.count() == 0 && average == Average::mean) continue;  // NaN
      cases.push_back(
          {.op = "mse",
           .note = note,
           .inputs = {random_operand(random, shape), random_operand(random, shape)},
           .apply = [average = average](Inputs in) { return mse(in[0], in[1], average); },
           .reference =
               [average = average](Arrays in) {
                 std::vector<double> squares;
                 for (std::size_t i = 0; i < in[0].values.size(); ++i)
                   squares.push_back(std::pow(in[0].values[i] - in[1].values[i], 2));
                 return averaged(std::move(squares), in[0].shape, average);
               },
           .tolerance = 10,
           .large = shape.count() > 2000});
    }
}

void add_kl(std::vector<OpCase>& cases) {
  struct Case {
    std::int64_t N, C;
    double range;
  };
  Random random(79);
  for (const Case& c : {Case{1, 1, 2}, Case{4, 10, 3}, Case{3, 37, 4}, Case{0, 4, 2},
                        Case{3, 5, 40}, Case{300, 40, 5}})
    for (const auto& [average, note] : averagings) {
      if (c.N == 0 && average == Average::mean) continue;  // NaN
      Operand target = random_operand(random, {c.N, c.C}, -c.range, c.range);
      target.differentiable = false;
      cases.push_back(
          {.op = "kl_divergence",
           .note = note,
           .inputs = {random_operand(random, {c.N, c.C}, -c.range, c.range), target},
           .apply = [average = average](Inputs in) { return kl_divergence(in[0], in[1], average); },
           .reference =
               [average = average](Arrays in) {
                 const Array log_q = log_softmax_of(in[0]), log_p = log_softmax_of(in[1]);
                 const auto C = static_cast<std::size_t>(in[0].shape[1]);
                 std::vector<double> rows(static_cast<std::size_t>(in[0].shape[0]), 0.0);
                 for (std::size_t i = 0; i < log_p.values.size(); ++i)
                   rows[i / C] += std::exp(log_p.values[i]) * (log_p.values[i] - log_q.values[i]);
                 const Shape shape{in[0].shape[0]};
                 return averaged(std::move(rows), shape, average);
               },
           .tolerance = 30,
           .large = c.N * c.C > 2000});
    }
}

}  // namespace

void add_row_cases(std::vector<OpCase>& cases) {
  add_softmax(cases);
  add_cross_entropy(cases);
  add_mse(cases);
  add_kl(cases);
}

}  // namespace understudy::testing
