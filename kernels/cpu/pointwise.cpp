#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/strided.h"

namespace understudy::cpu {
namespace {

// Elements that make it worth to wake another thread (some 2 µs of work). Roots, divisions and
// polynomials cost several times an addition.
constexpr std::int64_t cheap_grain = 16384;
constexpr std::int64_t dear_grain = 4096;

std::int64_t grain_of(Unary op) {
  switch (op) {
    case Unary::exp:
    case Unary::log:
    case Unary::tanh:
    case Unary::sigmoid:
      return dear_grain;
    default:
      return cheap_grain;
  }
}

}  // namespace

void CpuBackend::unary(Unary op, const View& out, const ConstView& x, double p) {
  const auto walk = make_walk<2>(out.shape, {&out.strides, &x.strides});
  with_float(out.dtype, [&]<class T>(Type<T>) {
    const auto loop = loops<T>().pointwise->unary[static_cast<int>(op)];
    T* const to = out.as<T>();
    const T* const from = x.as<T>();
    const auto ys = walk.inner_stride(0), xs = walk.inner_stride(1);
    parallel_for(walk.count, grain_of(op), [&](std::int64_t begin, std::int64_t end) {
      for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[2]) {
        loop(n, to + at[0], ys, from + at[1], xs, static_cast<T>(p));
      });
    });
  });
}

void CpuBackend::unary_backward(Unary op, const View& dx, const ConstView& dy, const ConstView& x,
                                const ConstView& y, double p) {
  const Saves what = saves(op);
  const ConstView* const saved = what == Saves::input ? &x : what == Saves::output ? &y : nullptr;
  const auto walk =
      make_walk<3>(dx.shape, {&dx.strides, &dy.strides, saved ? &saved->strides : nullptr});
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    const auto loop = loops<T>().pointwise->unary_backward[static_cast<int>(op)];
    T* const to = dx.as<T>();
    const T* const slope = dy.as<T>();
    const T* const from = saved ? saved->as<T>() : slope;
    const auto ds = walk.inner_stride(0), ys = walk.inner_stride(1), ss = walk.inner_stride(2);
    parallel_for(walk.count, cheap_grain, [&](std::int64_t begin, std::int64_t end) {
      for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[3]) {
        loop(n, to + at[0], ds, slope + at[1], ys, from + at[2], ss, static_cast<T>(p));
      });
    });
  });
}

void CpuBackend::binary(Binary op, const View& out, const ConstView& a, const ConstView& b) {
  const auto walk = make_walk<3>(out.shape, {&out.strides, &a.strides, &b.strides});
  with_float(out.dtype, [&]<class T>(Type<T>) {
    const auto loop = loops<T>().pointwise->binary[static_cast<int>(op)];
    T* const to = out.as<T>();
    const T* const left = a.as<T>();
    const T* const right = b.as<T>();
    const auto ys = walk.inner_stride(0), as = walk.inner_stride(1), bs = walk.inner_stride(2);
    parallel_for(walk.count, cheap_grain, [&](std::int64_t begin, std::int64_t end) {
      for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[3]) {
        loop(n, to + at[0], ys, left + at[1], as, right + at[2], bs);
      });
    });
  });
}

void CpuBackend::binary_backward(Binary op, int side, const View& d, const ConstView& dy,
                                 const ConstView& a, const ConstView& b) {
  const auto walk = make_walk<4>(d.shape, {&d.strides, &dy.strides, &a.strides, &b.strides});
  with_float(d.dtype, [&]<class T>(Type<T>) {
    const auto loop = loops<T>().pointwise->binary_backward[side][static_cast<int>(op)];
    check(loop != nullptr, "'{}' has no derivative", to_string(op));
    T* const to = d.as<T>();
    const T* const slope = dy.as<T>();
    const T* const left = a.as<T>();
    const T* const right = b.as<T>();
    const auto ds = walk.inner_stride(0), ys = walk.inner_stride(1);
    const auto as = walk.inner_stride(2), bs = walk.inner_stride(3);
    parallel_for(walk.count, cheap_grain, [&](std::int64_t begin, std::int64_t end) {
      for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[4]) {
        loop(n, to + at[0], ds, slope + at[1], ys, left + at[2], as, right + at[3], bs);
      });
    });
  });
}

void CpuBackend::where(const View& out, const ConstView& condition, const ConstView& a,
                       const ConstView& b) {
  const auto walk =
      make_walk<4>(out.shape, {&out.strides, &condition.strides, &a.strides, &b.strides});
  with_float(out.dtype, [&]<class T>(Type<T>) {
    const auto loop = loops<T>().pointwise->where;
    T* const to = out.as<T>();
    const T* const test = condition.as<T>();
    const T* const yes = a.as<T>();
    const T* const no = b.as<T>();
    const auto ys = walk.inner_stride(0), cs = walk.inner_stride(1);
    const auto as = walk.inner_stride(2), bs = walk.inner_stride(3);
    parallel_for(walk.count, cheap_grain, [&](std::int64_t begin, std::int64_t end) {
      for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[4]) {
        loop(n, to + at[0], ys, test + at[1], cs, yes + at[2], as, no + at[3], bs);
      });
    });
  });
}

}  // namespace understudy::cpu
