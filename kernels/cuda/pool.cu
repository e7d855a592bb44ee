// Pooling. Bound by memory: overlapping windows read a pixel several times, but from the caches. The
// gradient is gathered: a thread has some channels of one pixel of x and adds up what the windows
// over it give, in their order, so that nothing is added by two threads.
#include <cstdint>

#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

// Windows along one axis.
struct Axis {
  int size, count;  // of x, of y
  int window, stride, padding;

  struct Range {
    int begin, end;
  };
  // The part of a window that lies inside the image.
  __device__ Range inside(int position) const {
    const int from = position * stride - padding, to = from + window;
    return {from < 0 ? 0 : from, to > size ? size : to};
  }
  // The windows over a place of x.
  __device__ Range over(int at) const {
    const int before = at + padding - window;  // what ends at the place before `at` is not over it
    const int last = (at + padding) / stride;
    return {before < 0 ? 0 : before / stride + 1, last >= count ? count : last + 1};
  }
};

struct Windows {
  Axis h, w;
  std::int64_t N, C;

  Windows(const Dims& x, const Dims& y, const Pool2d& p)
      : h(axis(x[1], y[1], p.window.height, p.stride.height, p.padding.height)),
        w(axis(x[2], y[2], p.window.width, p.stride.width, p.padding.width)),
        N(x[0]),
        C(x[3]) {}
  static Axis axis(std::int64_t size, std::int64_t count, std::int64_t window, std::int64_t stride,
                   std::int64_t padding) {
    return {static_cast<int>(size), static_cast<int>(count), static_cast<int>(window),
            static_cast<int>(stride), static_cast<int>(padding)};
  }
};

// Some channels of a pixel of (N, rows, columns, C).
struct Spot {
  std::int64_t n;
  int row, column;
  std::int64_t c;

  // The i-th of the array's groups of `width` channels; Index holds their number.
  template <class Index>
  __device__ static Spot at(Index i, int rows, int columns, Index groups, int width) {
    const Index pixel = i / groups, line = pixel / static_cast<Index>(columns),
                image = line / static_cast<Index>(rows);
    return {static_cast<std::int64_t>(image),
            static_cast<int>(line - image * static_cast<Index>(rows)),
            static_cast<int>(pixel - line * static_cast<Index>(columns)),
            static_cast<std::int64_t>(i - pixel * groups) * width};
  }
};
__device__ Spot spot_at(std::int64_t i, int rows, int columns, std::int64_t C, int width) {
  if (i <= INT32_MAX)
    return Spot::at(static_cast<std::uint32_t>(i), rows, columns,
                    static_cast<std::uint32_t>(C / width), width);
  return Spot::at(i, rows, columns, C / width, width);
}

// Whether a maximum is at a pixel; the first such pixel of a window has it.
template <class T>
__device__ bool is_maximum(T value, T most) {
  return value == most || value != value;
}

template <Pooling op, class T, int width, bool quads>
__global__ void pool_kernel(T* y, const T* x, Windows s, T factor, std::int64_t count) {
  for_each_step(count, [&](std::int64_t step) {
    const Spot at = spot_at(step, s.h.count, s.w.count, s.C, width);
    const Axis::Range rows = s.h.inside(at.row), columns = s.w.inside(at.column);
    T result[width];
#pragma unroll
    for (int j = 0; j < width; ++j) result[j] = op == Pooling::max ? Max<T>::start() : T(0);
    for (int h = rows.begin; h < rows.end; ++h) {
      const T* pixel = x + ((at.n * s.h.size + h) * s.w.size + columns.begin) * s.C + at.c;
#pragma unroll 4
      for (int w = columns.begin; w < columns.end; ++w, pixel += s.C) {
        T value[width];
        load<width, quads>(value, pixel);
#pragma unroll
        for (int j = 0; j < width; ++j)
          result[j] = op == Pooling::max ? Max<T>::join(result[j], value[j]) : result[j] + value[j];
      }
    }
    if (op == Pooling::average)
#pragma unroll
      for (int j = 0; j < width; ++j) result[j] *= factor;
    store<width, quads>(y + step * width, result);
  });
}

// Of the maxima of a window, those whose pixel comes before (h, w), row by row, have taken its
// gradient.
template <class T, int width, bool quads>
__device__ void drop_taken(bool (&takes)[width], const T* x, const T (&most)[width],
                           const Windows& s, const Spot& at, Axis::Range rows,
                           Axis::Range columns) {
  for (int h = rows.begin; h <= at.row; ++h) {
    const T* pixel = x + ((at.n * s.h.size + h) * s.w.size + columns.begin) * s.C + at.c;
    const int end = h == at.row ? at.column : columns.end;
    for (int w = columns.begin; w < end; ++w, pixel += s.C) {
      T value[width];
      load<width, quads>(value, pixel);
#pragma unroll
      for (int j = 0; j < width; ++j) takes[j] = takes[j] && !is_maximum(value[j], most[j]);
    }
  }
}

template <Pooling op, class T, int width, bool quads>
__global__ void pool_backward_kernel(T* dx, const T* dy, const T* x, const T* y, Windows s,
                                     T factor, std::int64_t count) {
  for_each_step(count, [&](std::int64_t step) {
    const Spot at = spot_at(step, s.h.size, s.w.size, s.C, width);
    const Axis::Range down = s.h.over(at.row), across = s.w.over(at.column);
    T sum[width] = {}, value[width] = {};
    if (op == Pooling::max) load<width, quads>(value, x + step * width);
    for (int p = down.begin; p < down.end; ++p)
      for (int q = across.begin; q < across.end; ++q) {
        const std::int64_t i = ((at.n * s.h.count + p) * s.w.count + q) * s.C + at.c;
        T slope[width];
        load<width, quads>(slope, dy + i);
        if constexpr (op == Pooling::average) {
#pragma unroll
          for (int j = 0; j < width; ++j) sum[j] += slope[j] * factor;
        } else {
          T most[width];
          load<width, quads>(most, y + i);
          bool takes[width], any = false;
#pragma unroll
          for (int j = 0; j < width; ++j) {
            takes[j] = is_maximum(value[j], most[j]);
            any = any || takes[j];
          }
          if (any) drop_taken<T, width, quads>(takes, x, most, s, at, s.h.inside(p), s.w.inside(q));
#pragma unroll
          for (int j = 0; j < width; ++j) sum[j] += takes[j] ? slope[j] : T(0);
        }
      }
    store<width, quads>(dx + step * width, sum);
  });
}

// Four channels to a thread, unless that would leave a GPU without work: images of few pixels have
// few results of large windows.
int width_for(std::int64_t count, std::int64_t C) {
  constexpr std::int64_t enough_threads = 1 << 16;
  return C % quad_size == 0 && count >= quad_size * enough_threads ? quad_size : 1;
}

// body.operator()<op>()
template <class Body>
void with_pooling(Pooling op, Body&& body) {
  if (op == Pooling::max) return body.template operator()<Pooling::max>();
  body.template operator()<Pooling::average>();
}
template <class T>
T average_factor(const Pool2d& pool) {
  return T(1) / static_cast<T>(pool.window.height * pool.window.width);
}

}  // namespace

void CudaBackend::pool2d(Pooling op, const View& y, const ConstView& x, const Pool2d& pool) {
  const std::int64_t count = y.shape.count();
  if (count == 0) return;
  const Windows s(x.shape, y.shape, pool);
  with_float(y.dtype, [&]<class T>(Type<T>) {
    const int across = width_for(count, s.C);
    const bool aligned = takes_quads(y.as<T>(), 0) && takes_quads(x.as<T>(), 0);
    with_columns(across, aligned, [&]<int width, bool quads>() {
      with_pooling(op, [&]<Pooling which>() {
        launch(stream_, grid_for(count / width), pool_kernel<which, T, width, quads>, y.as<T>(),
               x.as<T>(), s, average_factor<T>(pool), count / width);
      });
    });
  });
}

void CudaBackend::pool2d_backward(Pooling op, const View& dx, const ConstView& dy,
                                  const ConstView& x, const ConstView& y, const Pool2d& pool) {
  const std::int64_t count = dx.shape.count();
  if (count == 0) return;
  const Windows s(dx.shape, dy.shape, pool);
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    const int across = width_for(count, s.C);
    bool aligned = takes_quads(dx.as<T>(), 0) && takes_quads(dy.as<T>(), 0);
    if (op == Pooling::max)
      aligned = aligned && takes_quads(x.as<T>(), 0) && takes_quads(y.as<T>(), 0);
    with_columns(across, aligned, [&]<int width, bool quads>() {
      with_pooling(op, [&]<Pooling which>() {
        launch(stream_, grid_for(count / width), pool_backward_kernel<which, T, width, quads>,
               dx.as<T>(), dy.as<T>(), x.as<T>(), y.as<T>(), s, average_factor<T>(pool),
               count / width);
      });
    });
  });
}

}  // namespace understudy::cuda
