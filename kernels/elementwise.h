// Every pointwise formula of the project, once, each with its derivative beside it.
//
// The tables below are the single source: the ids of the Backend contract and the CPU loops of
// every instruction set are generated from them, the tests of value and gradient run through them.
// A new op is one line here, one in engine/ops.h and one in engine/ops/elementwise.cpp.
//
// The formulas are templates on the scalar T (float or double; on the host and on the device) and
// are free of branches on memory, so that a compiler vectorises them.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace understudy {

// Which of a unary op's values its derivative reads, and so what autograd keeps alive.
enum class Saves : std::uint8_t { nothing, input, output };

// clang-format off

// X(name, saves, y = value(x, p), dy/dx = slope(x, y, p)).  p is a constant of the call.
#define UNDERSTUDY_UNARY(X)                                                                \
  X(neg,        nothing, -x,                                 T(-1))                         \
  X(scale,      nothing, x * p,                              p)                             \
  X(shift,      nothing, x + p,                              T(1))                          \
  X(abs,        input,   x < T(0) ? -x : x,                  T(x > T(0)) - T(x < T(0)))     \
  X(square,     input,   x * x,                              T(2) * x)                      \
  X(sqrt,       output,  math::sqrt(x),                      T(0.5) / y)                    \
  X(reciprocal, output,  T(1) / x,                           -y * y)                        \
  X(exp,        output,  math::exp(x),                       y)                             \
  X(log,        input,   math::log(x),                       T(1) / x)                      \
  X(tanh,       output,  math::tanh(x),                      T(1) - y * y)                  \
  X(sigmoid,    output,  T(1) / (T(1) + math::exp(-x)),      y * (T(1) - y))                \
  X(relu,       output,  x < T(0) ? T(0) : x,                T(y > T(0)))                   \
  X(clamp_min,  input,   x < p ? p : x,                      T(x > p))

// X(name, y = value(a, b), dy/da, dy/db); all may read a, b and y. NaN on either side gives NaN.
#define UNDERSTUDY_BINARY(X)                                                               \
  X(add,     a + b,          T(1),              T(1))                                       \
  X(sub,     a - b,          T(1),              T(-1))                                      \
  X(mul,     a * b,          b,                 a)                                          \
  X(div,     a / b,          T(1) / b,          -y / b)                                     \
  X(maximum, ((a < b) | (b != b)) ? b : a, T(!(a < b)), T(a < b))                           \
  X(minimum, ((b < a) | (b != b)) ? b : a, T(!(b < a)), T(b < a))

// X(name, value(a, b)); no derivative: the result is 0 or 1.
#define UNDERSTUDY_COMPARE(X)  \
  X(equal,   T(a == b))        \
  X(less,    T(a < b))         \
  X(greater, T(a > b))

// clang-format on

#define UNDERSTUDY_ID(name, ...) name,
enum class Unary : std::uint8_t { UNDERSTUDY_UNARY(UNDERSTUDY_ID) count };
enum class Binary : std::uint8_t {
  UNDERSTUDY_BINARY(UNDERSTUDY_ID) UNDERSTUDY_COMPARE(UNDERSTUDY_ID) count
};
#undef UNDERSTUDY_ID

constexpr const char* to_string(Unary op) {
#define UNDERSTUDY_NAME(name, ...) #name,
  constexpr const char* names[] = {UNDERSTUDY_UNARY(UNDERSTUDY_NAME)};
  return names[static_cast<int>(op)];
}
constexpr const char* to_string(Binary op) {
  constexpr const char* names[] = {UNDERSTUDY_BINARY(UNDERSTUDY_NAME)
                                       UNDERSTUDY_COMPARE(UNDERSTUDY_NAME)};
#undef UNDERSTUDY_NAME
  return names[static_cast<int>(op)];
}
constexpr Saves saves(Unary op) {
#define UNDERSTUDY_SAVES(name, what, ...) Saves::what,
  constexpr Saves table[] = {UNDERSTUDY_UNARY(UNDERSTUDY_SAVES)};
#undef UNDERSTUDY_SAVES
  return table[static_cast<int>(op)];
}

// The formulas as types: UnaryFormula<Unary::exp>::value(x, p) and ::slope(x, y, p).
template <Unary op>
struct UnaryFormula;
template <Binary op>
struct BinaryFormula;

#define UNDERSTUDY_FORMULA(name, what, value_expression, slope_expression)     \
  template <>                                                                  \
  struct UnaryFormula<Unary::name> {                                           \
    static constexpr Saves kept = Saves::what;                                 \
    template <class T>                                                         \
    UNDERSTUDY_HD static T value([[maybe_unused]] T x, [[maybe_unused]] T p) { \
      return value_expression;                                                 \
    }                                                                          \
    template <class T>                                                         \
    UNDERSTUDY_HD static T slope([[maybe_unused]] T x, [[maybe_unused]] T y,   \
                                 [[maybe_unused]] T p) {                       \
      return slope_expression;                                                 \
    }                                                                          \
  };
UNDERSTUDY_UNARY(UNDERSTUDY_FORMULA)
#undef UNDERSTUDY_FORMULA

#define UNDERSTUDY_FORMULA(name, value_expression, da_expression, db_expression)                  \
  template <>                                                                                     \
  struct BinaryFormula<Binary::name> {                                                            \
    static constexpr bool differentiable = true;                                                  \
    template <class T>                                                                            \
    UNDERSTUDY_HD static T value(T a, T b) {                                                      \
      return value_expression;                                                                    \
    }                                                                                             \
    template <class T>                                                                            \
    UNDERSTUDY_HD static T da([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T y) { \
      return da_expression;                                                                       \
    }                                                                                             \
    template <class T>                                                                            \
    UNDERSTUDY_HD static T db([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T y) { \
      return db_expression;                                                                       \
    }                                                                                             \
  };
UNDERSTUDY_BINARY(UNDERSTUDY_FORMULA)
#undef UNDERSTUDY_FORMULA

#define UNDERSTUDY_FORMULA(name, value_expression) \
  template <>                                      \
  struct BinaryFormula<Binary::name> {             \
    static constexpr bool differentiable = false;  \
    template <class T>                             \
    UNDERSTUDY_HD static T value(T a, T b) {       \
      return value_expression;                     \
    }                                              \
  };
UNDERSTUDY_COMPARE(UNDERSTUDY_FORMULA)
#undef UNDERSTUDY_FORMULA

// The slopes as loops take them: of a unary op from the one value that it saves, if any ...
template <Unary op, class T>
UNDERSTUDY_HD T unary_slope([[maybe_unused]] T saved, T p) {
  using F = UnaryFormula<op>;
  if constexpr (F::kept == Saves::input)
    return F::slope(saved, T(0), p);
  else if constexpr (F::kept == Saves::output)
    return F::slope(T(0), saved, p);
  else
    return F::slope(T(0), T(0), p);
}
// ... and of a binary op by the input of that side.
template <Binary op, int side, class T>
UNDERSTUDY_HD T binary_slope(T a, T b) {
  using F = BinaryFormula<op>;
  return side == 0 ? F::da(a, b, F::value(a, b)) : F::db(a, b, F::value(a, b));
}

}  // namespace understudy
