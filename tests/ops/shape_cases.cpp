// Cases of the ops that move or look at elements without computing.
#include <algorithm>

#include "engine/ops.h"
#include "kernels/format.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

std::size_t at_axis(int axis) { return static_cast<std::size_t>(axis); }

// A case with one random input of `shape`.
OpCase one_input(const char* op, std::string note, const Shape& shape,
                 std::function<Tensor(const Tensor&)> apply,
                 std::function<Array(const Array&)> reference) {
  Random random(static_cast<std::uint64_t>(shape.count()) + 17);
  return {.op = op,
          .note = std::move(note),
          .inputs = {random_operand(random, shape)},
          .apply = [apply](Inputs in) { return apply(in[0]); },
          .reference = [reference](Arrays in) { return reference(in[0]); },
          .large = shape.count() > 2000};
}

Array same(const Array& x) { return x; }

void add_reshape(std::vector<OpCase>& cases) {
  struct Case {
    Shape from, to, full;
  };
  for (const Case& c :
       {Case{{}, {1}, {1}}, Case{{1}, {}, {}}, Case{{6}, {2, 3}, {2, 3}},
        Case{{2, 3, 4}, {4, -1}, {4, 6}}, Case{{0, 3}, {-1, 3}, {0, 3}},
        Case{{0}, {2, 0, 5}, {2, 0, 5}}, Case{{3, 4}, {1, 2, 1, 6, 1, 1}, {1, 2, 1, 6, 1, 1}}})
    cases.push_back(one_input(
        "reshape", "to " + to_string(c.to), c.from, [to = c.to](auto& x) { return reshape(x, to); },
        [full = c.full](const Array& x) {
          return Array{full, x.values};
        }));
}

void add_permute(std::vector<OpCase>& cases) {
  struct Case {
    Shape shape;
    std::vector<int> axes, full;
  };
  for (const Case& c :
       {Case{{}, {}, {}}, Case{{5}, {0}, {0}}, Case{{2, 3}, {1, 0}, {1, 0}},
        Case{{2, 3, 4}, {2, 0, 1}, {2, 0, 1}}, Case{{2, 1, 3, 2}, {-1, 1, 0, -2}, {3, 1, 0, 2}},
        Case{{2, 0, 3}, {1, 2, 0}, {1, 2, 0}},
        Case{{2, 3, 1, 2, 2}, {4, 3, 2, 1, 0}, {4, 3, 2, 1, 0}}})
    cases.push_back(one_input(
        "permute", "", c.shape, [axes = c.axes](auto& x) { return permute(x, axes); },
        [axes = c.full](const Array& x) {
          Shape shape = x.shape;
          for (std::size_t i = 0; i < axes.size(); ++i)
            shape[static_cast<int>(i)] = x.shape[axes[i]];
          return tabulate(shape, [&](const Position& at) {
            Position from(at.size());
            for (std::size_t i = 0; i < axes.size(); ++i) from[at_axis(axes[i])] = at[i];
            return element(x, from);
          });
        }));
  for (const Shape& shape :
       {Shape{3, 4}, Shape{2, 3, 5}, Shape{1, 4}, Shape{0, 3}, Shape{200, 201}})
    cases.push_back(one_input(
        "transpose", "", shape, [](auto& x) { return transpose(x); },
        [](const Array& x) {
          Shape shape = x.shape;
          std::swap(shape[shape.rank() - 1], shape[shape.rank() - 2]);
          return tabulate(shape, [&](Position at) {
            std::swap(at[at.size() - 1], at[at.size() - 2]);
            return element(x, at);
          });
        }));
}

void add_slice(std::vector<OpCase>& cases) {
  struct Case {
    Shape shape;
    int axis;
    std::int64_t begin, end, step;
    std::int64_t first, count;  // what that means
  };
  for (const Case& c : {Case{{5}, 0, 1, 4, 1, 1, 3}, Case{{5}, 0, 0, 5, 2, 0, 3},
                        Case{{6}, -1, 1, 6, 2, 1, 3}, Case{{4, 5}, 1, -3, -1, 1, 2, 2},
                        Case{{4, 5}, 0, 1, 4, 3, 1, 1}, Case{{4, 5}, 0, 2, 2, 1, 2, 0},
                        Case{{2, 7, 3}, 1, 1, 7, 4, 1, 2}, Case{{3, 0}, 0, 1, 3, 1, 1, 2},
                        Case{{0}, 0, 0, 0, 1, 0, 0}, Case{{5}, 0, 0, 5, 1ll << 62, 0, 1}})
    cases.push_back(one_input(
        "slice",
        "axis " + std::to_string(c.axis) + " " + std::to_string(c.begin) + ":" +
            std::to_string(c.end) + ":" + std::to_string(c.step),
        c.shape, [c](auto& x) { return slice(x, c.axis, c.begin, c.end, c.step); },
        [c](const Array& x) {
          const int axis = c.axis < 0 ? c.axis + x.shape.rank() : c.axis;
          Shape shape = x.shape;
          shape[axis] = c.count;
          return tabulate(shape, [&](Position at) {
            auto& i = at[at_axis(axis)];
            i = i == 0 ? c.first : c.first + i * c.step;
            return element(x, at);
          });
        }));
}

void add_select(std::vector<OpCase>& cases) {
  struct Case {
    Shape shape;
    int axis;
    std::int64_t index, place;
  };
  for (const Case& c : {Case{{4}, 0, 2, 2}, Case{{3, 4}, 1, -1, 3}, Case{{3, 4}, -2, 0, 0},
                        Case{{2, 3, 2, 2}, 1, 1, 1}, Case{{2, 0}, 0, 1, 1}})
    cases.push_back(one_input(
        "select", "axis " + std::to_string(c.axis) + " at " + std::to_string(c.index), c.shape,
        [c](auto& x) { return select(x, c.axis, c.index); },
        [c](const Array& x) {
          const int axis = c.axis < 0 ? c.axis + x.shape.rank() : c.axis;
          Shape shape;
          for (int i = 0; i < x.shape.rank(); ++i)
            if (i != axis) shape.push_back(x.shape[i]);
          return tabulate(shape, [&](Position at) {
            at.insert(at.begin() + axis, c.place);
            return element(x, at);
          });
        }));
}

void add_broadcast(std::vector<OpCase>& cases) {
  struct Case {
    Shape from, to;
  };
  for (const Case& c :
       {Case{{}, {}}, Case{{}, {2, 3}}, Case{{1}, {4}}, Case{{3}, {2, 3}}, Case{{3, 1}, {3, 4}},
        Case{{2, 1, 2}, {2, 2, 3, 2}}, Case{{1, 3}, {0, 3}}, Case{{0}, {2, 0}}, Case{{4}, {4}}})
    cases.push_back(one_input(
        "broadcast_to", to_string(c.to), c.from,
        [to = c.to](auto& x) { return broadcast_to(x, to); },
        [to = c.to](const Array& x) {
          return tabulate(to, [&](const Position& at) { return element(x, at); });
        }));
}

// Reference of concat: reads from the part that the position along `axis` falls into.
Array joined(Arrays parts, int axis) {
  Shape shape = parts[0].shape;
  shape[axis] = 0;
  for (const Array& part : parts) shape[axis] += part.shape[axis];
  return tabulate(shape, [&](Position at) {
    std::size_t part = 0;
    auto& i = at[at_axis(axis)];
    while (i >= parts[part].shape[axis]) i -= parts[part++].shape[axis];
    // element() repeats axes of size 1, which the position is already right for.
    return element(parts[part], at);
  });
}

void add_joins(std::vector<OpCase>& cases) {
  Random random(23);
  const auto add = [&](const char* op, std::vector<Shape> shapes, int axis, int full_axis,
                       const char* note) {
    OpCase c{.op = op, .note = fmt::format("{}axis {}", note, axis)};
    for (const Shape& shape : shapes) c.inputs.push_back(random_operand(random, shape));
    if (c.op == "concat") {
      c.apply = [axis](Inputs in) { return concat(in, axis); };
      c.reference = [full_axis](Arrays in) { return joined(in, full_axis); };
    } else {
      c.apply = [axis](Inputs in) { return stack(in, axis); };
      c.reference = [full_axis](Arrays in) {
        std::vector<Array> parts(in.begin(), in.end());
        for (Array& part : parts) {
          Shape shape;
          for (int i = 0; i <= part.shape.rank(); ++i) {
            if (i == full_axis) shape.push_back(1);
            if (i < part.shape.rank()) shape.push_back(part.shape[i]);
          }
          part.shape = shape;
        }
        return joined(parts, full_axis);
      };
    }
    cases.push_back(std::move(c));
  };
  add("concat", {{3}}, 0, 0, "");
  add("concat", {{2, 3}, {4, 3}}, 0, 0, "");
  add("concat", {{2, 3}, {2, 1}, {2, 0}, {2, 2}}, -1, 1, "");
  add("concat", {{1, 2, 2}, {1, 3, 2}}, 1, 1, "");
  add("concat", {{0}, {0}}, 0, 0, "");
  add("concat", {{0, 2}, {1, 2}}, 0, 0, "");
  add("concat", std::vector<Shape>(150, Shape{1, 2}), 0, 0, "of 150, ");
  add("stack", {{}, {}, {}}, 0, 0, "");
  add("stack", {{3}, {3}}, 0, 0, "");
  add("stack", {{3}, {3}}, -1, 1, "");
  add("stack", {{2, 3}, {2, 3}, {2, 3}}, 1, 1, "");
  add("stack", {{0, 2}, {0, 2}}, 2, 2, "");
  add("stack", std::vector<Shape>(70, Shape{2}), 1, 1, "of 70, ");
}

void add_copies(std::vector<OpCase>& cases) {
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{0, 2}, Shape{2, 2, 1, 3, 2}}) {
    cases.push_back(one_input(
        "contiguous", "", shape, [](auto& x) { return contiguous(x); }, same));
    cases.push_back(one_input(
        "clone", "", shape, [](auto& x) { return clone(x); }, same));
    cases.push_back(one_input(
        "to", "the host and back", shape, [](auto& x) { return to(to(x, Device{}), x.device()); },
        same));
    cases.push_back(one_input(
        "cast", "to double", shape, [](auto& x) { return cast(x, DType::f64); }, same));
    cases.back().result = DType::f64;
  }
}

void add_gather(std::vector<OpCase>& cases) {
  struct Case {
    Shape shape;
    std::int64_t rows;
  };
  Random random(29);
  for (const Case& c : {Case{{5}, 3}, Case{{4, 3}, 9}, Case{{3, 2, 2}, 2}, Case{{4, 3}, 0},
                        Case{{3, 0}, 2}, Case{{1, 2}, 5}, Case{{0, 2}, 0}, Case{{60, 700}, 90}})
    cases.push_back(
        {.op = "gather_rows",
         .inputs = {random_operand(random, c.shape),
                    index_operand(random, c.rows, std::max<std::int64_t>(c.shape[0], 1))},
         .apply = [](Inputs in) { return gather_rows(in[0], in[1]); },
         .reference =
             [](Arrays in) {
               Shape shape = in[0].shape;
               shape[0] = in[1].shape[0];
               return tabulate(shape, [&](Position at) {
                 at[0] = static_cast<std::int64_t>(in[1].values[at_axis(static_cast<int>(at[0]))]);
                 return element(in[0], at);
               });
             },
         .tolerance = 4,  // rows that are taken often add up in backward
         .large = c.shape.count() > 2000});
}

void add_images(std::vector<OpCase>& cases) {
  static constexpr float mean[] = {0.4914f, 0.4822f, 0.4465f, 0.25f, 0.5f};
  static constexpr float deviation[] = {0.2023f, 0.1994f, 0.2010f, 1.0f, 0.5f};
  Random random(31);
  for (const Shape& shape : {Shape{4, 3, 5, 1}, Shape{3, 2, 2, 3}, Shape{2, 3, 3, 5},
                             Shape{2, 0, 3, 3}, Shape{3, 28, 28, 1}}) {
    Operand images = operand(shape, {});
    for (double& value : images.array.values) value = static_cast<double>(random() % 256);
    images.dtype = DType::u8;
    const auto C = static_cast<std::size_t>(shape.back());
    cases.push_back(
        {.op = "gather_images",
         .inputs = {images, index_operand(random, 5, shape[0])},
         .apply =
             [C](Inputs in) {
               return gather_images(in[0], in[1], std::span(mean, C), std::span(deviation, C));
             },
         .reference =
             [](Arrays in) {
               Shape shape = in[0].shape;
               shape[0] = in[1].shape[0];
               return tabulate(shape, [&](Position at) {
                 at[0] = static_cast<std::int64_t>(in[1].values[at_axis(static_cast<int>(at[0]))]);
                 const auto c = static_cast<std::size_t>(at[3]);
                 return (element(in[0], at) / 255 - double{mean[c]}) / double{deviation[c]};
               });
             },
         .differentiable = false,
         .result = DType::f32,
         .tolerance = 4});

    Operand placement = operand({5, 3}, {});
    placement.dtype = DType::i32;
    placement.differentiable = false;
    for (std::size_t i = 0; i < 5; ++i) {
      placement.array.values[3 * i] = static_cast<double>(random() % 5) - 2;
      placement.array.values[3 * i + 1] = static_cast<double>(random() % 5) - 2;
      placement.array.values[3 * i + 2] = static_cast<double>(i % 2);
    }
    OpCase placed = cases.back();
    placed.note = "placed";
    placed.inputs.push_back(placement);
    placed.apply = [C](Inputs in) {
      return gather_images(in[0], in[1], std::span(mean, C), std::span(deviation, C), in[2]);
    };
    placed.reference = [](Arrays in) {
      Shape shape = in[0].shape;
      shape[0] = in[1].shape[0];
      return tabulate(shape, [&](Position at) {
        const auto i = static_cast<std::size_t>(at[0]);
        const double* place = in[2].values.data() + 3 * i;
        if (place[2] != 0) at[2] = shape[2] - 1 - at[2];
        at[0] = static_cast<std::int64_t>(in[1].values[i]);
        at[1] += static_cast<std::int64_t>(place[0]);
        at[2] += static_cast<std::int64_t>(place[1]);
        const auto c = static_cast<std::size_t>(at[3]);
        const bool inside = at[1] >= 0 && at[1] < shape[1] && at[2] >= 0 && at[2] < shape[2];
        return ((inside ? element(in[0], at) / 255 : 0) - double{mean[c]}) / double{deviation[c]};
      });
    };
    cases.push_back(placed);
  }
}

}  // namespace

void add_shape_cases(std::vector<OpCase>& cases) {
  add_reshape(cases);
  add_permute(cases);
  add_slice(cases);
  add_select(cases);
  add_broadcast(cases);
  add_joins(cases);
  add_copies(cases);
  add_gather(cases);
  add_images(cases);
}

}  // namespace understudy::testing
