// One window of a pooling, for all channels at once.
#include "kernels/cpu/loops/vector.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

// body(offset) for each pixel of a window, row by row.
template <class Body>
[[gnu::always_inline]] inline void for_pixels(const PoolWindow& w, Body&& body) {
  for (Index r = 0; r < w.rows; ++r)
    for (Index s = 0; s < w.columns; ++s) body(r * w.row_step + s * w.column_step);
}

// body(first channel, channels) by vectors.
template <class T, class Body>
[[gnu::always_inline]] inline void for_vectors(Index C, Body&& body) {
  Index c = 0;
  for (; c + lanes<T> <= C; c += lanes<T>) body(c, lanes<T>);
  if (c < C) body(c, C - c);
}

template <class T>
void max(const PoolWindow& window, Index C, T* y, const T* x) {
  for_vectors<T>(C, [&](Index c, Index n) {
    Vector<T> most = load_some(x + c, n);  // the first pixel, which is then met again
    for_pixels(window, [&](Index at) {
      const Vector<T> v = load_some(x + at + c, n);
      most = most < v ? v : most;
      most = v != v ? v : most;
    });
    store_some(y + c, most, n);
  });
}

template <class T>
void average(const PoolWindow& window, Index C, T* y, const T* x, T factor) {
  for_vectors<T>(C, [&](Index c, Index n) {
    Vector<T> sum = {};
    for_pixels(window, [&](Index at) { sum += load_some(x + at + c, n); });
    store_some(y + c, sum * factor, n);
  });
}

template <class T>
void max_backward(const PoolWindow& window, Index C, T* dx, const T* dy, const T* x, const T* y) {
  for_vectors<T>(C, [&](Index c, Index n) {
    constexpr Vector<T> zero = {};
    const Vector<T> most = load_some(y + c, n);
    Vector<T> left = load_some(dy + c, n);  // what no pixel has taken yet
    for_pixels(window, [&](Index at) {
      const Vector<T> v = load_some(x + at + c, n);
      const auto hit = (v == most) | (v != v);
      const Vector<T> d = load_some(dx + at + c, n);
      store_some<T>(dx + at + c, d + (hit ? left : zero), n);
      left = hit ? zero : left;
    });
  });
}

template <class T>
void average_backward(const PoolWindow& window, Index C, T* dx, const T* dy, T factor) {
  for_vectors<T>(C, [&](Index c, Index n) {
    const Vector<T> share = load_some(dy + c, n) * factor;
    for_pixels(window,
               [&](Index at) { store_some<T>(dx + at + c, load_some(dx + at + c, n) + share, n); });
  });
}

template <class T>
inline constexpr PoolLoops<T> table = {max<T>, average<T>, max_backward<T>, average_backward<T>};

}  // namespace

const PoolLoops<float> pool_f32 = table<float>;
const PoolLoops<double> pool_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
