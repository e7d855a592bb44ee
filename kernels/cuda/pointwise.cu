// Kernels for every formula of elementwise.h, in tables by the op's id, as in cpu/loops/pointwise.cpp.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/map.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

template <Unary op>
struct Value {
  template <class T>
  UNDERSTUDY_HD static T apply(T p, T x) {
    return UnaryFormula<op>::value(x, p);
  }
};
// From dy and the value that the op saves, if any.
template <Unary op>
struct Backward {
  template <class T>
  UNDERSTUDY_HD static T apply(T p, T dy) {
    return dy * unary_slope<op>(T(0), p);
  }
  template <class T>
  UNDERSTUDY_HD static T apply(T p, T dy, T saved) {
    return dy * unary_slope<op>(saved, p);
  }
};
template <Binary op>
struct BinaryValue {
  template <class T>
  UNDERSTUDY_HD static T apply(T, T a, T b) {
    return BinaryFormula<op>::value(a, b);
  }
};
template <Binary op, int side>
struct BinaryBackward {
  template <class T>
  UNDERSTUDY_HD static T apply(T, T dy, T a, T b) {
    return dy * binary_slope<op, side>(a, b);
  }
};
struct Where {
  template <class T>
  UNDERSTUDY_HD static T apply(T, T c, T a, T b) {
    return c != T(0) ? a : b;
  }
};

// Of the two forms of Backward the one whose inputs the op has; the other is null.
template <class T, Unary op>
inline constexpr MapKernels<T, T, T> backward_alone = {};
template <class T, Unary op>
requires(saves(op) == Saves::nothing) inline constexpr MapKernels<T, T, T> backward_alone<T, op> =
    map_kernels<Backward<op>, T, T, T>;
template <class T, Unary op>
inline constexpr MapKernels<T, T, T, T> backward_saved = {};
template <class T, Unary op>
requires(saves(op) !=
         Saves::nothing) inline constexpr MapKernels<T, T, T, T> backward_saved<T, op> =
    map_kernels<Backward<op>, T, T, T, T>;

// clang-format off
#define UNDERSTUDY_VALUE(name, ...) map_kernels<Value<Unary::name>, T, T, T>,
#define UNDERSTUDY_ALONE(name, ...) backward_alone<T, Unary::name>,
#define UNDERSTUDY_SAVED(name, ...) backward_saved<T, Unary::name>,
#define UNDERSTUDY_BINARY_VALUE(name, ...) map_kernels<BinaryValue<Binary::name>, T, T, T, T>,
#define UNDERSTUDY_SIDE0(name, ...) map_kernels<BinaryBackward<Binary::name, 0>, T, T, T, T, T>,
#define UNDERSTUDY_SIDE1(name, ...) map_kernels<BinaryBackward<Binary::name, 1>, T, T, T, T, T>,

template <class T>
struct Tables {
  static constexpr MapKernels<T, T, T> unary[] = {UNDERSTUDY_UNARY(UNDERSTUDY_VALUE)};
  static constexpr MapKernels<T, T, T> unary_backward[] = {UNDERSTUDY_UNARY(UNDERSTUDY_ALONE)};
  static constexpr MapKernels<T, T, T, T> unary_backward_saved[] = {
      UNDERSTUDY_UNARY(UNDERSTUDY_SAVED)};
  static constexpr MapKernels<T, T, T, T> binary[] = {
      UNDERSTUDY_BINARY(UNDERSTUDY_BINARY_VALUE) UNDERSTUDY_COMPARE(UNDERSTUDY_BINARY_VALUE)};
  static constexpr MapKernels<T, T, T, T, T> binary_backward[2][static_cast<int>(Binary::count)] = {
      {UNDERSTUDY_BINARY(UNDERSTUDY_SIDE0)}, {UNDERSTUDY_BINARY(UNDERSTUDY_SIDE1)}};
};
// clang-format on

}  // namespace

void CudaBackend::unary(Unary op, const View& out, const ConstView& x, double p) {
  const auto walk = make_walk<2>(out.shape, {&out.strides, &x.strides});
  with_float(out.dtype, [&]<class T>(Type<T>) {
    map(stream_, Tables<T>::unary[static_cast<int>(op)], walk, static_cast<T>(p), out.as<T>(),
        x.as<T>());
  });
}

void CudaBackend::unary_backward(Unary op, const View& dx, const ConstView& dy, const ConstView& x,
                                 const ConstView& y, double p) {
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    const int id = static_cast<int>(op);
    if (saves(op) == Saves::nothing) {
      const auto walk = make_walk<2>(dx.shape, {&dx.strides, &dy.strides});
      map(stream_, Tables<T>::unary_backward[id], walk, static_cast<T>(p), dx.as<T>(), dy.as<T>());
    } else {
      const ConstView& saved = saves(op) == Saves::input ? x : y;
      const auto walk = make_walk<3>(dx.shape, {&dx.strides, &dy.strides, &saved.strides});
      map(stream_, Tables<T>::unary_backward_saved[id], walk, static_cast<T>(p), dx.as<T>(),
          dy.as<T>(), saved.as<T>());
    }
  });
}

void CudaBackend::binary(Binary op, const View& out, const ConstView& a, const ConstView& b) {
  const auto walk = make_walk<3>(out.shape, {&out.strides, &a.strides, &b.strides});
  with_float(out.dtype, [&]<class T>(Type<T>) {
    map(stream_, Tables<T>::binary[static_cast<int>(op)], walk, T(0), out.as<T>(), a.as<T>(),
        b.as<T>());
  });
}

void CudaBackend::binary_backward(Binary op, int side, const View& d, const ConstView& dy,
                                  const ConstView& a, const ConstView& b) {
  const auto walk = make_walk<4>(d.shape, {&d.strides, &dy.strides, &a.strides, &b.strides});
  with_float(d.dtype, [&]<class T>(Type<T>) {
    const auto& kernels = Tables<T>::binary_backward[side][static_cast<int>(op)];
    check(kernels.by_element != nullptr, "'{}' has no derivative", to_string(op));
    map(stream_, kernels, walk, T(0), d.as<T>(), dy.as<T>(), a.as<T>(), b.as<T>());
  });
}

void CudaBackend::where(const View& out, const ConstView& condition, const ConstView& a,
                        const ConstView& b) {
  const auto walk =
      make_walk<4>(out.shape, {&out.strides, &condition.strides, &a.strides, &b.strides});
  with_float(out.dtype, [&]<class T>(Type<T>) {
    map(stream_, map_kernels<Where, T, T, T, T, T>, walk, T(0), out.as<T>(), condition.as<T>(),
        a.as<T>(), b.as<T>());
  });
}

}  // namespace understudy::cuda
