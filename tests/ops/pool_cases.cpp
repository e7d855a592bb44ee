// Cases of pooling, and of what augmentation does to images.
#include <algorithm>
#include <limits>

#include "engine/ops.h"
#include "kernels/format.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

struct Case {
  Shape x;
  Pool2d pool;
};

std::vector<Case> pool_shapes() {
  return {{{1, 1, 1, 2}, {.window = 1}},
          {{2, 4, 4, 1}, {.window = 2}},
          {{2, 5, 7, 3}, {.window = 3, .stride = 2, .padding = 1}},
          {{1, 6, 5, 17}, {.window = {2, 3}, .stride = {1, 2}}},
          {{2, 3, 3, 16}, {.window = 3, .stride = 1, .padding = 1}},
          {{1, 2, 9, 5}, {.window = {2, 4}, .stride = {3, 3}, .padding = {1, 2}}},
          {{0, 4, 4, 3}, {.window = 2}},
          {{2, 4, 4, 0}, {.window = 2}},
          {{3, 13, 12, 70}, {.window = 3, .stride = 2, .padding = 1}}};
}

Array pooled(const Array& x, const Pool2d& pool, bool largest) {
  const auto& [window, stride, padding] = pool;
  const Shape shape{
      x.shape[0], window_count(x.shape[1], window.height, stride.height, padding.height, 1),
      window_count(x.shape[2], window.width, stride.width, padding.width, 1), x.shape[3]};
  return tabulate(shape, [&](const Position& at) {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t r = 0; r < window.height; ++r)
      for (std::int64_t s = 0; s < window.width; ++s) {
        const std::int64_t h = at[1] * stride.height - padding.height + r;
        const std::int64_t w = at[2] * stride.width - padding.width + s;
        if (h < 0 || h >= x.shape[1] || w < 0 || w >= x.shape[2]) continue;
        const double value = element(x, {at[0], h, w, at[3]});
        most = std::max(most, value);
        sum += value;
      }
    return largest ? most : sum / static_cast<double>(window.height * window.width);
  });
}

void add_pools(std::vector<OpCase>& cases) {
  Random random(101);
  for (const auto& [shape, pool] : pool_shapes())
    for (const bool largest : {true, false})
      cases.push_back(
          {.op = largest ? "max_pool2d" : "average_pool2d",
           .note = fmt::format("window {}x{} stride {}x{} padding {}x{}", pool.window.height,
                               pool.window.width, pool.stride.height, pool.stride.width,
                               pool.padding.height, pool.padding.width),
           .inputs = {largest ? distinct_operand(random, shape) : random_operand(random, shape)},
           .apply =
               [=](Inputs in) {
                 return largest ? max_pool2d(in[0], pool) : average_pool2d(in[0], pool);
               },
           .reference = [=](Arrays in) { return pooled(in[0], pool, largest); },
           .tolerance = 4,
           .large = shape.count() > 2000});
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{1, 1, 1, 1}, Shape{3, 2, 2, 40},
                             Shape{0, 2, 2, 3}, Shape{5, 16, 17, 30}})
    cases.push_back({.op = "global_average_pool",
                     .inputs = {random_operand(random, shape)},
                     .apply = [](Inputs in) { return global_average_pool(in[0]); },
                     .reference =
                         [](Arrays in) {
                           const Shape& from = in[0].shape;
                           const Shape to{from[0], from[3]};
                           Array out = tabulate(to, [](const Position&) { return 0.0; });
                           for_each_position(from, [&](const Position& at) {
                             out.values[static_cast<std::size_t>(at[0] * from[3] + at[3])] +=
                                 element(in[0], at) / static_cast<double>(from[1] * from[2]);
                           });
                           return out;
                         },
                     .tolerance = 4,
                     .large = shape.count() > 2000});
}

void add_padding_and_flips(std::vector<OpCase>& cases) {
  struct Padding {
    Shape shape;
    HeightWidth size;
  };
  Random random(103);
  for (const Padding& p :
       {Padding{{2, 3, 4, 3}, 2}, Padding{{1, 2, 1, 1}, {0, 3}}, Padding{{2, 2, 2, 1}, {1, 0}},
        Padding{{1, 2, 3, 2}, 0}, Padding{{0, 2, 3, 2}, 1}, Padding{{2, 0, 3, 1}, 1}})
    cases.push_back({.op = "pad2d",
                     .note = fmt::format("by {}x{}", p.size.height, p.size.width),
                     .inputs = {random_operand(random, p.shape)},
                     .apply = [=](Inputs in) { return pad2d(in[0], p.size); },
                     .reference =
                         [=](Arrays in) {
                           const Shape& from = in[0].shape;
                           Shape to = from;
                           to[1] += 2 * p.size.height;
                           to[2] += 2 * p.size.width;
                           return tabulate(to, [&](Position at) {
                             at[1] -= p.size.height;
                             at[2] -= p.size.width;
                             const bool inside =
                                 at[1] >= 0 && at[1] < from[1] && at[2] >= 0 && at[2] < from[2];
                             return inside ? element(in[0], at) : 0;
                           });
                         }});
  for (const Shape& shape :
       {Shape{5}, Shape{1, 3}, Shape{2, 3, 4, 3}, Shape{2, 0, 3}, Shape{30, 9, 10, 1}})
    for (int axis = -1; axis < shape.rank(); ++axis)
      cases.push_back({.op = "flip",
                       .note = fmt::format("axis {}", axis),
                       .inputs = {random_operand(random, shape)},
                       .apply = [=](Inputs in) { return flip(in[0], axis); },
                       .reference =
                           [=](Arrays in) {
                             const int flipped = axis < 0 ? axis + shape.rank() : axis;
                             return tabulate(shape, [&](Position at) {
                               auto& place = at[static_cast<std::size_t>(flipped)];
                               place = shape[flipped] - 1 - place;
                               return element(in[0], at);
                             });
                           },
                       .large = shape.count() > 2000});
}

}  // namespace

void add_pool_cases(std::vector<OpCase>& cases) {
  add_pools(cases);
  add_padding_and_flips(cases);
}

}  // namespace understudy::testing
