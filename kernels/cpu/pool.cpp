#include <algorithm>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

constexpr Index grain = 32768;          // elements of the windows for each thread
constexpr Index channels_at_once = 64;  // that a thread of the backward pass owns of an image

// The part of a window along one axis that lies inside the image.
struct Span {
  Index begin, count;
  Span(Index position, Index window, Index stride, Index padding, Index size) {
    const Index from = position * stride - padding;
    begin = std::max<Index>(0, from);
    count = std::min(size, from + window) - begin;
  }
};

struct PoolShape {
  Index N, H, W, C, P, Q;
  Pool2d pool;

  PoolShape(const Dims& x, const Dims& y, const Pool2d& how)
      : N(x[0]), H(x[1]), W(x[2]), C(x[3]), P(y[1]), Q(y[2]), pool(how) {}
  Index window() const { return pool.window.height * pool.window.width; }

  // body(window, its first pixel's number, result pixel's number) for row p of image n's results.
  template <class Body>
  void for_windows(Index n, Index p, Body&& body) const {
    const Span rows(p, pool.window.height, pool.stride.height, pool.padding.height, H);
    for (Index q = 0; q < Q; ++q) {
      const Span columns(q, pool.window.width, pool.stride.width, pool.padding.width, W);
      body(PoolWindow{rows.count, columns.count, W * C, C},
           (n * H + rows.begin) * W + columns.begin, (n * P + p) * Q + q);
    }
  }
};

}  // namespace

void CpuBackend::pool2d(Pooling op, const View& y, const ConstView& x, const Pool2d& pool) {
  const PoolShape s(x.shape, y.shape, pool);
  with_float(y.dtype, [&]<class T>(Type<T>) {
    const Index row = std::max<Index>(1, s.Q * s.C * s.window());
    parallel_for(s.N * s.P, std::max<Index>(1, grain / row), [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        s.for_windows(i / s.P, i % s.P, [&](const PoolWindow& window, Index from, Index to) {
          const T* const in = x.as<T>() + from * s.C;
          T* const out = y.as<T>() + to * s.C;
          if (op == Pooling::max)
            loops<T>().pool->max(window, s.C, out, in);
          else
            loops<T>().pool->average(window, s.C, out, in, T(1) / static_cast<T>(s.window()));
        });
    });
  });
}

void CpuBackend::pool2d_backward(Pooling op, const View& dx, const ConstView& dy,
                                 const ConstView& x, const ConstView& y, const Pool2d& pool) {
  const PoolShape s(dx.shape, dy.shape, pool);
  if (s.C == 0) return;
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    // Windows overlap, so a thread has some channels of an image to itself.
    const Index parts = (s.C + channels_at_once - 1) / channels_at_once;
    const Index work = std::max<Index>(1, (s.H * s.W + s.P * s.Q * s.window()) * s.C / parts);
    parallel_for(s.N * parts, std::max<Index>(1, grain / work), [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const Index n = i / parts, c = i % parts * channels_at_once;
        const Index channels = std::min(channels_at_once, s.C - c);
        for (Index pixel = n * s.H * s.W; pixel < (n + 1) * s.H * s.W; ++pixel)
          std::fill_n(dx.as<T>() + pixel * s.C + c, channels, T(0));
        for (Index p = 0; p < s.P; ++p)
          s.for_windows(n, p, [&](const PoolWindow& window, Index pixel, Index result) {
            const Index from = pixel * s.C + c, to = result * s.C + c;
            if (op == Pooling::max)
              loops<T>().pool->max_backward(window, channels, dx.as<T>() + from, dy.as<T>() + to,
                                            x.as<T>() + from, y.as<T>() + to);
            else
              loops<T>().pool->average_backward(window, channels, dx.as<T>() + from,
                                                dy.as<T>() + to, T(1) / static_cast<T>(s.window()));
          });
      }
    });
  });
}

}  // namespace understudy::cpu
