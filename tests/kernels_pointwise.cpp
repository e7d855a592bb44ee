// Every pointwise op of the tables, over awkward shapes and strides, against the same formula in
// double; and every formula against its independent definition and its slope against differences,
// so that a new line in the table is tested by itself.
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

const Dims shapes[] = {Dims{},       Dims{0},      Dims{1},          Dims{2, 0, 3},
                       Dims{7},      Dims{3, 5},   Dims{33, 64},     Dims{4, 1, 17},
                       Dims{1, 130}, Dims{130, 1}, Dims{2, 3, 4, 5}, Dims{2, 1, 3, 1, 2, 5}};
const Dims large_shapes[] = {Dims{50001}, Dims{250, 203}};

constexpr double parameter = 0.75;

// In double, whatever the op: value(x, p) and slope(x, y, p).
double value(Unary op, double x, double p) {
#define UNDERSTUDY_CASE(name, ...) \
  case Unary::name:                \
    return UnaryFormula<Unary::name>::value(x, p);
  switch (op) {
    UNDERSTUDY_UNARY(UNDERSTUDY_CASE)
    case Unary::count:
      break;
  }
#undef UNDERSTUDY_CASE
  return NAN;
}
double slope(Unary op, double x, double y, double p) {
#define UNDERSTUDY_CASE(name, ...) \
  case Unary::name:                \
    return UnaryFormula<Unary::name>::slope(x, y, p);
  switch (op) {
    UNDERSTUDY_UNARY(UNDERSTUDY_CASE)
    case Unary::count:
      break;
  }
#undef UNDERSTUDY_CASE
  return NAN;
}
double value(Binary op, double a, double b) {
#define UNDERSTUDY_CASE(name, ...) \
  case Binary::name:               \
    return BinaryFormula<Binary::name>::value(a, b);
  switch (op) {
    UNDERSTUDY_BINARY(UNDERSTUDY_CASE)
    UNDERSTUDY_COMPARE(UNDERSTUDY_CASE)
    case Binary::count:
      break;
  }
#undef UNDERSTUDY_CASE
  return NAN;
}
double slope(Binary op, int side, double a, double b) {
#define UNDERSTUDY_CASE(name, ...)                      \
  case Binary::name: {                                  \
    using F = BinaryFormula<Binary::name>;              \
    const double y = F::value(a, b);                    \
    return side == 0 ? F::da(a, b, y) : F::db(a, b, y); \
  }
  switch (op) {
    UNDERSTUDY_BINARY(UNDERSTUDY_CASE)
    default:
      break;
  }
#undef UNDERSTUDY_CASE
  return NAN;
}

constexpr Unary all_unary[] = {
#define UNDERSTUDY_ITEM(name, ...) Unary::name,
    UNDERSTUDY_UNARY(UNDERSTUDY_ITEM)
#undef UNDERSTUDY_ITEM
};
constexpr Binary differentiable[] = {
#define UNDERSTUDY_ITEM(name, ...) Binary::name,
    UNDERSTUDY_BINARY(UNDERSTUDY_ITEM)};
constexpr Binary all_binary[] = {UNDERSTUDY_BINARY(UNDERSTUDY_ITEM)
                                     UNDERSTUDY_COMPARE(UNDERSTUDY_ITEM)
#undef UNDERSTUDY_ITEM
};

// A float result may be off by some roundings of its formula's steps.
template <class T>
constexpr double tolerance = 8 * rounding<T>;

// Runs body(shape, out layout, in layout) for all combinations on small shapes, some on large ones.
template <class Body>
void for_shapes_and_layouts(Body&& body) {
  for (const Dims& shape : shapes)
    for (const Layout out : output_layouts)
      for (const Layout in : input_layouts) body(shape, out, in);
  for (const Dims& shape : large_shapes) {
    body(shape, Layout::dense, Layout::dense);
    body(shape, Layout::dense, Layout::row_broadcast);
    body(shape, Layout::dense, Layout::transposed);
  }
}

template <class T>
void check_unary(Unary op, const Dims& shape, Layout out_layout, Layout in_layout) {
  const auto x = Array<T>::uniform(shape, in_layout, 1, -3, 3);
  const auto dy = Array<T>::uniform(
      shape, in_layout == Layout::scalar ? Layout::scalar : Layout::dense, 2, -2, 2);
  Array<T> y(shape, out_layout), dx(shape, out_layout);
  cpu_backend().unary(op, y, x, parameter);
  CHECK(worst_mismatch(y, [&](const Dims& i) { return value(op, x.at(i), parameter); }) <=
        tolerance<T>);
  CHECK(y.guards_intact());

  // What the derivative does not read is not there.
  const ConstView nothing;
  cpu_backend().unary_backward(op, dx, dy, saves(op) == Saves::input ? ConstView(x) : nothing,
                               saves(op) == Saves::output ? ConstView(y) : nothing, parameter);
  CHECK(worst_mismatch(dx, [&](const Dims& i) {
          return dy.at(i) * slope(op, x.at(i), y.at(i), parameter);
        }) <= tolerance<T>);
  CHECK(dx.guards_intact());
}

template <class T>
void check_binary(Binary op, const Dims& shape, Layout out_layout, Layout a_layout,
                  Layout b_layout) {
  const auto a = Array<T>::uniform(shape, a_layout, 3, -3, 3);
  auto b = Array<T>::uniform(shape, b_layout, 4, -3, 3);
  // Some equal pairs, for the comparisons.
  for_each_index(shape, [&](const Dims& i) {
    if (i.rank() > 0 && i[0] % 3 == 0 && b_layout == Layout::dense) b.at(i) = a.at(i);
  });
  Array<T> y(shape, out_layout);
  cpu_backend().binary(op, y, a, b);
  CHECK(worst_mismatch(y, [&](const Dims& i) { return value(op, a.at(i), b.at(i)); }) <=
        tolerance<T>);
  CHECK(y.guards_intact());
}

template <class T>
void check_binary_backward(Binary op, const Dims& shape, Layout out_layout, Layout a_layout,
                           Layout b_layout) {
  const auto a = Array<T>::uniform(shape, a_layout, 3, -3, 3);
  const auto b = Array<T>::uniform(shape, b_layout, 4, 0.25, 3);
  const auto dy = Array<T>::uniform(shape, out_layout, 5, -2, 2);
  for (const int side : {0, 1}) {
    Array<T> d(shape, out_layout);
    cpu_backend().binary_backward(op, side, d, dy, a, b);
    CHECK(worst_mismatch(d, [&](const Dims& i) {
            return dy.at(i) * slope(op, side, a.at(i), b.at(i));
          }) <= tolerance<T>);
    CHECK(d.guards_intact());
  }
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("unary ops and their derivatives, all shapes and strides", T, float, double) {
    under_all_settings([] {
      for (const Unary op : all_unary) {
        for_shapes_and_layouts([&](const Dims& shape, Layout out, Layout in) {
          INFO(fmt::format("{} {} {} <- {}", to_string(op), to_string(shape), name_of(out),
                           name_of(in)));
          check_unary<T>(op, shape, out, in);
        });
      }
    });
  }

  TEST_CASE_TEMPLATE("binary ops, all shapes and strides", T, float, double) {
    under_all_settings([] {
      for (const Binary op : all_binary) {
        for_shapes_and_layouts([&](const Dims& shape, Layout out, Layout in) {
          INFO(fmt::format("{} {} {} <- {}", to_string(op), to_string(shape), name_of(out),
                           name_of(in)));
          check_binary<T>(op, shape, out, in, Layout::dense);
          check_binary<T>(op, shape, out, Layout::dense, in);
        });
      }
    });
  }

  TEST_CASE_TEMPLATE("derivatives of binary ops, all shapes and strides", T, float, double) {
    under_all_settings([] {
      for (const Binary op : differentiable) {
        for_shapes_and_layouts([&](const Dims& shape, Layout out, Layout in) {
          INFO(fmt::format("{} {} {} <- {}", to_string(op), to_string(shape), name_of(out),
                           name_of(in)));
          check_binary_backward<T>(op, shape, out, in, Layout::dense);
          check_binary_backward<T>(op, shape, out, Layout::dense, in);
        });
      }
    });
  }

  TEST_CASE_TEMPLATE("where chooses and does not mix", T, float, double) {
    under_all_settings([] {
      for_shapes_and_layouts([&](const Dims& shape, Layout out_layout, Layout in) {
        INFO(fmt::format("{} {} <- {}", to_string(shape), name_of(out_layout), name_of(in)));
        auto condition = Array<T>::uniform(shape, in, 6, -1, 1);
        for_each_index(shape, [&](const Dims& i) {
          if (condition.at(i) < 0) condition.at(i) = 0;
        });
        auto a = Array<T>::uniform(shape, Layout::dense, 7, -3, 3);
        auto b = Array<T>::uniform(shape, Layout::transposed, 8, -3, 3);
        // A NaN on the side that is not chosen stays there.
        for_each_index(shape, [&](const Dims& i) {
          (condition.at(i) != 0 ? b : a).at(i) = std::numeric_limits<T>::quiet_NaN();
        });
        Array<T> out(shape, out_layout);
        cpu_backend().where(out, condition, a, b);
        CHECK(worst_mismatch(out, [&](const Dims& i) {
                return condition.at(i) != 0 ? a.at(i) : b.at(i);
              }) <= 0);
        CHECK(out.guards_intact());
      });
    });
  }

  TEST_CASE_TEMPLATE("an output may be its own input", T, float, double) {
    under_all_settings([] {
      const Dims shape{37, 51};
      auto x = Array<T>::uniform(shape, Layout::dense, 9, -3, 3);
      const auto before = x, other = Array<T>::uniform(shape, Layout::dense, 10, -3, 3);
      cpu_backend().unary(Unary::tanh, x, x, 0);
      CHECK(worst_mismatch(x, [&](const Dims& i) { return std::tanh(double{before.at(i)}); }) <=
            tolerance<T>);
      x = before;
      cpu_backend().binary(Binary::add, x, x, other);
      CHECK(worst_mismatch(x, [&](const Dims& i) { return double{before.at(i)} + other.at(i); }) <=
            tolerance<T>);
    });
  }

  TEST_CASE("formulas are what their names say") {
    for (double x = -3; x <= 3; x += 0.0625) {
      const double p = parameter;
      CHECK(value(Unary::neg, x, p) == -x);
      CHECK(value(Unary::scale, x, p) == p * x);
      CHECK(value(Unary::shift, x, p) == p + x);
      CHECK(value(Unary::abs, x, p) == std::abs(x));
      CHECK(value(Unary::square, x, p) == std::pow(x, 2));
      CHECK(mismatch(value(Unary::sqrt, x, p), std::sqrt(x)) == 0);
      CHECK(mismatch(value(Unary::reciprocal, x, p), 1 / x) == 0);
      CHECK(mismatch(value(Unary::exp, x, p), std::exp(x)) == 0);
      CHECK(mismatch(value(Unary::log, x, p), std::log(x)) == 0);
      CHECK(mismatch(value(Unary::tanh, x, p), std::tanh(x)) == 0);
      CHECK(mismatch(value(Unary::sigmoid, x, p), 0.5 + 0.5 * std::tanh(x / 2)) <= 1e-15);
      CHECK(value(Unary::relu, x, p) == std::max(x, 0.0));
      CHECK(value(Unary::clamp_min, x, p) == std::max(x, p));
      for (double b = -2; b <= 2; b += 0.25) {
        CHECK(value(Binary::add, x, b) == x + b);
        CHECK(value(Binary::sub, x, b) == x - b);
        CHECK(value(Binary::mul, x, b) == x * b);
        CHECK(mismatch(value(Binary::div, x, b), x / b) == 0);
        CHECK(value(Binary::maximum, x, b) == std::max(x, b));
        CHECK(value(Binary::minimum, x, b) == std::min(x, b));
        CHECK(value(Binary::equal, x, b) == (x == b ? 1 : 0));
        CHECK(value(Binary::less, x, b) == (x < b ? 1 : 0));
        CHECK(value(Binary::greater, x, b) == (x > b ? 1 : 0));
      }
    }
  }

  TEST_CASE("slopes are the derivatives of their formulas") {
    constexpr double h = 1e-6;
    int compared = 0;
    const auto compare = [&](const char* name, double x, double left, double right, double got) {
      // Kinks, where the two sides differ, and points outside an op's domain are left out.
      if (!std::isfinite(left) || !std::isfinite(right) || std::abs(left - right) > 1e-3) return;
      INFO(fmt::format("{} at {}", name, x));
      ++compared;
      CHECK(mismatch(got, (left + right) / 2) <= 1e-5);
    };
    for (double x = -2.95; x <= 3; x += 0.1) {
      for (const Unary op : all_unary) {
        const double y = value(op, x, parameter);
        compare(to_string(op), x, (y - value(op, x - h, parameter)) / h,
                (value(op, x + h, parameter) - y) / h, slope(op, x, y, parameter));
      }
      for (double b = -2.02; b <= 2; b += 0.3) {
        for (const Binary op : differentiable) {
          const double y = value(op, x, b);
          compare(to_string(op), x, (y - value(op, x - h, b)) / h, (value(op, x + h, b) - y) / h,
                  slope(op, 0, x, b));
          compare(to_string(op), b, (y - value(op, x, b - h)) / h, (value(op, x, b + h) - y) / h,
                  slope(op, 1, x, b));
        }
      }
    }
    CHECK(compared > 5000);
  }
}
