// Cases of sums, means and maxima.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/ops.h"
#include "kernels/format.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

// value = join(value, element) over `axes`, from `start`, with the axes dropped or kept as 1.
Array reduced(const Array& x, const std::vector<int>& axes, bool keep, double start,
              const std::function<double(double, double)>& join) {
  Shape kept = x.shape, dropped;
  for (const int axis : axes) kept[axis] = 1;
  for (int i = 0; i < x.shape.rank(); ++i)
    if (std::ranges::find(axes, i) == axes.end()) dropped.push_back(x.shape[i]);
  Array out{kept, std::vector<double>(static_cast<std::size_t>(kept.count()), start)};
  for_each_position(x.shape, [&](const Position& at) {
    std::int64_t place = 0;
    for (int i = 0; i < kept.rank(); ++i)
      place = place * kept[i] + (kept[i] == 1 ? 0 : at[static_cast<std::size_t>(i)]);
    double& value = out.values[static_cast<std::size_t>(place)];
    value = join(value, element(x, at));
  });
  if (!keep) out.shape = dropped;
  return out;
}

struct Case {
  Shape shape;
  std::vector<int> axes, full;
};

const std::vector<Case>& axis_cases() {
  static const std::vector<Case> all = {{{}, {}, {}},
                                        {{5}, {0}, {0}},
                                        {{5}, {-1}, {0}},
                                        {{3, 4}, {0}, {0}},
                                        {{3, 4}, {1}, {1}},
                                        {{3, 4}, {1, 0}, {1, 0}},
                                        {{2, 3, 4}, {0, 2}, {0, 2}},
                                        {{2, 3, 4}, {-2}, {1}},
                                        {{2, 1, 3}, {1}, {1}},
                                        {{3, 4}, {}, {}},
                                        {{0, 3}, {0}, {0}},
                                        {{0, 3}, {1}, {1}},
                                        {{2, 0, 3}, {2, 0}, {2, 0}},
                                        {{2, 2, 3, 2, 2}, {1, 3}, {1, 3}},
                                        {{3, 67}, {1}, {1}},
                                        {{67, 3}, {0}, {0}},
                                        {{40, 1000}, {0}, {0}},
                                        {{40, 1000}, {1}, {1}},
                                        {{30, 3, 500}, {0, 2}, {0, 2}},
                                        {{40, 1000}, {0, 1}, {0, 1}}};
  return all;
}

std::string note_of(const Case& c, bool keep) {
  return fmt::format("axes [{}]{}", fmt::join(c.axes, ","), keep ? " kept" : "");
}

void add_sums(std::vector<OpCase>& cases) {
  Random random(41);
  for (const Case& c : axis_cases())
    for (const bool keep : {false, true})
      cases.push_back({.op = "sum",
                       .note = note_of(c, keep),
                       .inputs = {random_operand(random, c.shape)},
                       .apply = [=](Inputs in) { return sum(in[0], std::span(c.axes), keep); },
                       .reference =
                           [=](Arrays in) {
                             return reduced(in[0], c.full, keep, 0,
                                            [](double a, double b) { return a + b; });
                           },
                       .tolerance = 4,
                       .large = c.shape.count() > 2000});
  const auto total = [](const Array& x, double scale) {
    long double sum = 0;
    for (const double value : x.values) sum += value;
    return Array{{}, {static_cast<double>(sum) * scale}};
  };
  for (const Shape& shape :
       {Shape{}, Shape{7}, Shape{0}, Shape{3, 5}, Shape{2, 3, 1, 2, 2}, Shape{300, 301}})
    cases.push_back({.op = "sum",
                     .note = "of all",
                     .inputs = {random_operand(random, shape)},
                     .apply = [](Inputs in) { return sum(in[0]); },
                     .reference = [=](Arrays in) { return total(in[0], 1); },
                     .tolerance = 4,
                     .large = shape.count() > 2000});
  // The mean of nothing is NaN: engine_ops_value.cpp.
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 5}, Shape{2, 3, 1, 2, 2}, Shape{300, 301}})
    cases.push_back(
        {.op = "mean",
         .note = "of all",
         .inputs = {random_operand(random, shape)},
         .apply = [](Inputs in) { return mean(in[0]); },
         .reference =
             [=](Arrays in) { return total(in[0], 1 / static_cast<double>(in[0].shape.count())); },
         .tolerance = 4,
         .large = shape.count() > 2000});
}

void add_means(std::vector<OpCase>& cases) {
  Random random(43);
  const auto add = [&](const Shape& shape, std::initializer_list<int> axes, std::vector<int> full,
                       bool keep, std::function<Tensor(const Tensor&)> apply) {
    cases.push_back({.op = "mean",
                     .note = note_of({shape, axes, full}, keep),
                     .inputs = {random_operand(random, shape)},
                     .apply = [apply](Inputs in) { return apply(in[0]); },
                     .reference =
                         [=](Arrays in) {
                           double count = 1;
                           for (const int axis : full)
                             count *= static_cast<double>(in[0].shape[axis]);
                           return reduced(in[0], full, keep, 0,
                                          [=](double a, double b) { return a + b / count; });
                         },
                     .tolerance = 4});
  };
  add({3, 4}, {0}, {0}, false, [](auto& x) { return mean(x, {0}); });
  add({3, 4}, {-1}, {1}, true, [](auto& x) { return mean(x, {-1}, true); });
  add({2, 3, 4}, {0, 2}, {0, 2}, false, [](auto& x) { return mean(x, {0, 2}); });
  add({2, 3, 4}, {2, 1, 0}, {2, 1, 0}, true, [](auto& x) { return mean(x, {2, 1, 0}, true); });
  add({0, 3}, {1}, {1}, false, [](auto& x) { return mean(x, {1}); });
}

void add_maxima(std::vector<OpCase>& cases) {
  Random random(47);
  for (const Case& c : axis_cases()) {
    if (c.axes.size() != 1 || c.shape[c.full[0]] == 0) continue;
    for (const bool keep : {false, true})
      cases.push_back({.op = "max",
                       .note = note_of(c, keep),
                       .inputs = {distinct_operand(random, c.shape)},
                       .apply = [=](Inputs in) { return max(in[0], c.axes[0], keep); },
                       .reference =
                           [=](Arrays in) {
                             return reduced(in[0], c.full, keep,
                                            -std::numeric_limits<double>::infinity(),
                                            [](double a, double b) { return std::fmax(a, b); });
                           },
                       .large = c.shape.count() > 2000});
  }
  for (const Shape& shape : {Shape{1}, Shape{6}, Shape{4, 10}, Shape{2, 3, 5}, Shape{0, 4},
                             Shape{3, 1}, Shape{100, 500}}) {
    // Few values, so that rows have several that are the largest.
    Operand x = operand(shape, {});
    for (double& value : x.array.values) value = static_cast<double>(random() % 7);
    cases.push_back({.op = "argmax",
                     .inputs = {x},
                     .apply = [](Inputs in) { return argmax(in[0]); },
                     .reference =
                         [](Arrays in) {
                           Shape rows = in[0].shape;
                           const std::int64_t C = rows.back();
                           rows.pop_back();
                           return tabulate(rows, [&](Position at) {
                             std::int64_t best = 0;
                             at.push_back(0);
                             double most = element(in[0], at);
                             for (std::int64_t c = 1; c < C; ++c) {
                               at.back() = c;
                               if (element(in[0], at) > most) most = element(in[0], at), best = c;
                             }
                             return static_cast<double>(best);
                           });
                         },
                     .differentiable = false,
                     .result = DType::i64,
                     .large = shape.count() > 2000});
  }
}

}  // namespace

void add_reduction_cases(std::vector<OpCase>& cases) {
  add_sums(cases);
  add_means(cases);
  add_maxima(cases);
}

}  // namespace understudy::testing
