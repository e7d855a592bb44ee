#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/row_shape.h"

namespace understudy::cpu {
namespace {

// body(begin, rows) over parts that hold some 4096 elements at least, the cost of waking a thread.
template <class Body>
void for_rows(const RowShape& shape, Body&& body) {
  if (shape.C == 0) return;
  const std::int64_t grain = shape.C >= 4096 ? 1 : (4096 + shape.C - 1) / shape.C;
  parallel_for(shape.rows, grain,
               [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
}

std::int64_t stride_of(const Dims& strides) { return strides.rank() == 0 ? 0 : strides[0]; }

}  // namespace

void CpuBackend::argmax(const View& out, const ConstView& in) {
  const RowShape s = row_shape(in.shape);
  check(s.C > 0 || s.rows == 0, "[argmax] {} has no columns to choose from", to_string(in.shape));
  with_float(in.dtype, [&]<class T>(Type<T>) {
    const std::int64_t step = stride_of(out.strides);
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      loops<T>().rows->argmax(n, s.C, out.as<std::int64_t>() + r * step, step,
                              in.as<T>() + r * s.C);
    });
  });
}

void CpuBackend::softmax(const View& out, const ConstView& x) {
  const RowShape s = row_shape(x.shape);
  with_float(out.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      loops<T>().rows->softmax(n, s.C, out.as<T>() + r * s.C, x.as<T>() + r * s.C);
    });
  });
}

void CpuBackend::softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) {
  const RowShape s = row_shape(dx.shape);
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      const std::int64_t at = r * s.C;
      loops<T>().rows->softmax_backward(n, s.C, dx.as<T>() + at, dy.as<T>() + at, y.as<T>() + at);
    });
  });
}

void CpuBackend::log_softmax(const View& out, const ConstView& x) {
  const RowShape s = row_shape(x.shape);
  with_float(out.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      loops<T>().rows->log_softmax(n, s.C, out.as<T>() + r * s.C, x.as<T>() + r * s.C);
    });
  });
}

void CpuBackend::log_softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) {
  const RowShape s = row_shape(dx.shape);
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      const std::int64_t at = r * s.C;
      loops<T>().rows->log_softmax_backward(n, s.C, dx.as<T>() + at, dy.as<T>() + at,
                                            y.as<T>() + at);
    });
  });
}

void CpuBackend::cross_entropy(const View& loss, const View& probability, const ConstView& x,
                               const ConstView& label) {
  const RowShape s = row_shape(x.shape);
  with_float(x.dtype, [&]<class T>(Type<T>) {
    const std::int64_t loss_step = stride_of(loss.strides), label_step = stride_of(label.strides);
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      loops<T>().rows->cross_entropy(n, s.C, loss.as<T>() + r * loss_step, loss_step,
                                     probability.as<T>() + r * s.C, x.as<T>() + r * s.C,
                                     label.as<std::int64_t>() + r * label_step, label_step);
    });
  });
}

void CpuBackend::cross_entropy_backward(const View& dx, const ConstView& dloss,
                                        const ConstView& probability, const ConstView& label) {
  const RowShape s = row_shape(dx.shape);
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    const std::int64_t loss_step = stride_of(dloss.strides), label_step = stride_of(label.strides);
    for_rows(s, [&](std::int64_t r, std::int64_t n) {
      loops<T>().rows->cross_entropy_backward(
          n, s.C, dx.as<T>() + r * s.C, dloss.as<T>() + r * loss_step, loss_step,
          probability.as<T>() + r * s.C, label.as<std::int64_t>() + r * label_step, label_step);
    });
  });
}

}  // namespace understudy::cpu
