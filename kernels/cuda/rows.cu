// The softmax family, losses and argmax over the rows of (rows, C). Bound by memory: but for rows
// too long for registers, each value is read once and each result written once. A team of threads
// has a row; sums are made in double.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/quad.h"
#include "kernels/cuda/row_team.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

// ---- softmax ----

// The loss is not wanted where `label` is null.
template <class T, int values>
__global__ void softmax_kernel(T* y, const T* x, RowShape s, int team, T* loss,
                               std::int64_t loss_step, const std::int64_t* label,
                               std::int64_t label_step) {
  const std::int64_t row = row_here(s.rows, team);
  T* const out = row_of(y, row, s.C);
  Share<T, values> share(row_of(x, row, s.C), s.C, team);
  const T most = share.largest();
  // One thread of the team has the label's value.
  const std::int64_t chosen = row < 0 || label == nullptr ? -1 : label[row * label_step];
  T chosen_value = 0;
  share.each([&](std::int64_t c, T value) {
    if (c == chosen) chosen_value = value;
  });
  double sum = 0;
  share.change(out, [&](T value) {
    const T e = math::exp(value - most);
    sum += static_cast<double>(e);
    return e;
  });
  const T total = static_cast<T>(join_team<Sum>(sum, team));
  const T scale = T(1) / total;
  share.each([&](std::int64_t c, T e) {
    out[c] = e * scale;
    if (c == chosen) loss[row * loss_step] = math::log(total) - (chosen_value - most);
  });
}

template <class T, int values>
__global__ void log_softmax_kernel(T* y, const T* x, RowShape s, int team) {
  const std::int64_t row = row_here(s.rows, team);
  T* const out = row_of(y, row, s.C);
  const Share<T, values> share(row_of(x, row, s.C), s.C, team);
  const T most = share.largest();
  double sum = 0;
  share.each([&](std::int64_t, T value) { sum += static_cast<double>(math::exp(value - most)); });
  const T log_total = math::log(static_cast<T>(join_team<Sum>(sum, team)));
  share.each([&](std::int64_t c, T value) { out[c] = (value - most) - log_total; });
}

// dx = y · (dy - Σ dy · y)
template <class T, int values>
__global__ void softmax_backward_kernel(T* dx, const T* dy, const T* y, RowShape s, int team) {
  const std::int64_t row = row_here(s.rows, team);
  T* const out = row_of(dx, row, s.C);
  const Share<T, values> slope(row_of(dy, row, s.C), s.C, team);
  const Share<T, values> weight(row_of(y, row, s.C), s.C, team);
  double sum = 0;
  slope.with(weight, [&](std::int64_t, T d, T w) {
    sum += static_cast<double>(d) * static_cast<double>(w);
  });
  const T total = static_cast<T>(join_team<Sum>(sum, team));
  slope.with(weight, [&](std::int64_t c, T d, T w) { out[c] = w * (d - total); });
}

// dx = dy - exp(y) · Σ dy
template <class T, int values>
__global__ void log_softmax_backward_kernel(T* dx, const T* dy, const T* y, RowShape s, int team) {
  const std::int64_t row = row_here(s.rows, team);
  T* const out = row_of(dx, row, s.C);
  const Share<T, values> slope(row_of(dy, row, s.C), s.C, team);
  const Share<T, values> logarithm(row_of(y, row, s.C), s.C, team);
  double sum = 0;
  slope.each([&](std::int64_t, T d) { sum += static_cast<double>(d); });
  const T total = static_cast<T>(join_team<Sum>(sum, team));
  slope.with(logarithm, [&](std::int64_t c, T d, T l) { out[c] = d - math::exp(l) * total; });
}

// dx = dloss · (probability - [c == label]); a thread has four neighbours, maybe of two rows or
// more.
template <class T>
__global__ void cross_entropy_backward_kernel(T* dx, const T* dloss, std::int64_t dloss_step,
                                              const T* probability, const std::int64_t* label,
                                              std::int64_t label_step, RowShape s, bool quads) {
  const std::int64_t count = s.rows * s.C;
  for_each_step((count + quad_size - 1) / quad_size, [&](std::int64_t step) {
    const std::int64_t first = step * quad_size;
    std::int64_t row = first / s.C, c = first - row * s.C;
    const bool whole = quads && first + quad_size <= count;
    Quad<T> values = {};
    if (whole) values = *reinterpret_cast<const Quad<T>*>(probability + first);
    T slope = dloss[row * dloss_step];
    std::int64_t chosen = label[row * label_step];
#pragma unroll
    for (int i = 0; i < quad_size; ++i) {
      if (first + i >= count) break;
      const T p = whole ? values.v[i] : probability[first + i];
      const T d = slope * (c == chosen ? p - T(1) : p);
      if (whole)
        values.v[i] = d;
      else
        dx[first + i] = d;
      if (++c == s.C && first + i + 1 < count) {
        c = 0, ++row;
        slope = dloss[row * dloss_step];
        chosen = label[row * label_step];
      }
    }
    if (whole) *reinterpret_cast<Quad<T>*>(dx + first) = values;
  });
}

// ---- argmax ----

template <class T>
struct Best {
  T value;
  std::int64_t at;
};
// NaN is the largest; of equals, the first wins.
struct First {
  template <class T>
  UNDERSTUDY_HD static Best<T> join(Best<T> a, Best<T> b) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return b_nan ? b : a;
    if (a.value < b.value) return b;
    if (b.value < a.value) return a;
    return b.at < a.at ? b : a;
  }
};
template <class T>
__device__ inline Best<T> swap_lanes(Best<T> best, int lanes) {
  return {cuda::swap_lanes(best.value, lanes), cuda::swap_lanes(best.at, lanes)};
}

template <class T>
__global__ void argmax_kernel(std::int64_t* out, std::int64_t out_step, const T* x, RowShape s,
                              int team) {
  const std::int64_t row = row_here(s.rows, team);
  const Share<T, 0> share(row_of(x, row, s.C), s.C, team);
  Best<T> best = {Max<T>::start(), s.C};
  share.each([&](std::int64_t c, T value) { best = First::join(best, {value, c}); });
  best = join_team<First>(best, team);
  if (row >= 0 && share.lane == 0) out[row * out_step] = best.at;
}

}  // namespace

void CudaBackend::argmax(const View& out, const ConstView& in) {
  const RowShape s = row_shape(in.shape);
  check(s.C > 0 || s.rows == 0, "[argmax] {} has no columns to choose from", to_string(in.shape));
  if (s.rows == 0) return;
  const int team = s.C <= 16 * warp_size ? std::min(power_of_two(s.C), warp_size) : block_threads;
  with_float(in.dtype, [&]<class T>(Type<T>) {
    launch(stream_, grid_for_rows(s, team), argmax_kernel<T>, out.as<std::int64_t>(),
           step_of(out.strides), in.as<T>(), s, team);
  });
}

void CudaBackend::softmax(const View& out, const ConstView& x) {
  const RowShape s = row_shape(x.shape);
  with_float(out.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&]<int values>(const Grid& grid, int team) {
      launch(stream_, grid, softmax_kernel<T, values>, out.as<T>(), x.as<T>(), s, team, nullptr, 0,
             nullptr, 0);
    });
  });
}

void CudaBackend::cross_entropy(const View& loss, const View& probability, const ConstView& x,
                                const ConstView& label) {
  const RowShape s = row_shape(x.shape);
  with_float(x.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&]<int values>(const Grid& grid, int team) {
      launch(stream_, grid, softmax_kernel<T, values>, probability.as<T>(), x.as<T>(), s, team,
             loss.as<T>(), step_of(loss.strides), label.as<std::int64_t>(), step_of(label.strides));
    });
  });
}

void CudaBackend::softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) {
  const RowShape s = row_shape(dx.shape);
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&]<int values>(const Grid& grid, int team) {
      launch(stream_, grid, softmax_backward_kernel<T, values>, dx.as<T>(), dy.as<T>(), y.as<T>(),
             s, team);
    });
  });
}

void CudaBackend::log_softmax(const View& out, const ConstView& x) {
  const RowShape s = row_shape(x.shape);
  with_float(out.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&]<int values>(const Grid& grid, int team) {
      launch(stream_, grid, log_softmax_kernel<T, values>, out.as<T>(), x.as<T>(), s, team);
    });
  });
}

void CudaBackend::log_softmax_backward(const View& dx, const ConstView& dy, const ConstView& y) {
  const RowShape s = row_shape(dx.shape);
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    for_rows(s, [&]<int values>(const Grid& grid, int team) {
      launch(stream_, grid, log_softmax_backward_kernel<T, values>, dx.as<T>(), dy.as<T>(),
             y.as<T>(), s, team);
    });
  });
}

void CudaBackend::cross_entropy_backward(const View& dx, const ConstView& dloss,
                                         const ConstView& probability, const ConstView& label) {
  const RowShape s = row_shape(dx.shape);
  const std::int64_t count = s.rows * s.C;
  if (count == 0) return;
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    const bool quads = takes_quads(dx.as<T>(), 0) && takes_quads(probability.as<T>(), 0);
    launch(stream_, grid_for((count + quad_size - 1) / quad_size), cross_entropy_backward_kernel<T>,
           dx.as<T>(), dloss.as<T>(), step_of(dloss.strides), probability.as<T>(),
           label.as<std::int64_t>(), step_of(label.strides), s, quads);
  });
}

}  // namespace understudy::cuda
