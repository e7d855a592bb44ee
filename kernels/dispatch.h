// From an element type known at run time to a template argument.
#pragma once

#include "kernels/check.h"
#include "kernels/view.h"

namespace understudy {

template <class T>
struct Type {
  using type = T;
};

// body(Type<float>{}) or body(Type<double>{}). The floating types are all that kernels compute in.
template <class Body>
auto with_float(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return body(Type<float>{});
    case DType::f64:
      return body(Type<double>{});
    default:
      fail("expected float32 or float64 values, got {}", to_string(dtype));
  }
}

template <class Body>
auto with_any(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return body(Type<float>{});
    case DType::f64:
      return body(Type<double>{});
    case DType::u8:
      return body(Type<std::uint8_t>{});
    case DType::i32:
      return body(Type<std::int32_t>{});
    case DType::i64:
      return body(Type<std::int64_t>{});
  }
  fail("unknown element type {}", static_cast<int>(dtype));
}

}  // namespace understudy
