// The softmax family. A row is read in blocks of 16 lanes; the last block is padded with -inf,
// whose exponential is 0, so that rows of ten classes still run on full vectors.
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

constexpr Index L = 16;  // lanes

template <class T>
constexpr T infinity = T(__builtin_inf());

// One block of a row: x[0 .. n) with n <= L, then `pad`.
template <class T>
struct Block {
  T lane[L];
  [[gnu::always_inline]] Block(const T* x, Index n, T pad) {
    if (n == L) {
      for (Index i = 0; i < L; ++i) lane[i] = x[i];
    } else {
      for (Index i = 0; i < L; ++i) lane[i] = pad;
      for (Index i = 0; i < n; ++i) lane[i] = x[i];
    }
  }
  [[gnu::always_inline]] void store(T* y, Index n) const {
    if (n == L) {
      for (Index i = 0; i < L; ++i) y[i] = lane[i];
    } else {
      for (Index i = 0; i < n; ++i) y[i] = lane[i];
    }
  }
};

[[gnu::always_inline]] inline Index width(Index C, Index c) { return C - c < L ? C - c : L; }

// Lanes are combined by halving, in one order for every instruction set.
template <class T>
[[gnu::always_inline]] inline T sum_lanes(T (&lane)[L]) {
  for (Index half = L / 2; half > 0; half /= 2)
    for (Index i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
}
template <class T>
[[gnu::always_inline]] inline T max_lanes(T (&lane)[L]) {
  for (Index half = L / 2; half > 0; half /= 2)
    for (Index i = 0; i < half; ++i) lane[i] = lane[i] < lane[i + half] ? lane[i + half] : lane[i];
  return lane[0];
}

template <class T>
[[gnu::always_inline]] inline T row_max(Index C, const T* x) {
  T most[L];
  for (Index i = 0; i < L; ++i) most[i] = -infinity<T>;
  for (Index c = 0; c < C; c += L) {
    const Block<T> block(x + c, width(C, c), -infinity<T>);
    for (Index i = 0; i < L; ++i) most[i] = most[i] < block.lane[i] ? block.lane[i] : most[i];
  }
  return max_lanes(most);
}

// Sum of exp(x - most); the terms go to e unless it is null. A NaN in x makes it NaN.
template <class T>
[[gnu::always_inline]] inline T row_exp(Index C, T* e, const T* x, T most) {
  T total[L] = {};
  for (Index c = 0; c < C; c += L) {
    const Index n = width(C, c);
    Block<T> block(x + c, n, -infinity<T>);
    for (Index i = 0; i < L; ++i) block.lane[i] = math::exp(block.lane[i] - most);
    for (Index i = 0; i < L; ++i) total[i] += block.lane[i];
    if (e != nullptr) block.store(e + c, n);
  }
  return sum_lanes(total);
}

template <class T>
[[gnu::always_inline]] inline T row_sum(Index C, const T* x) {
  T total[L] = {};
  for (Index c = 0; c < C; c += L) {
    const Block<T> block(x + c, width(C, c), T(0));
    for (Index i = 0; i < L; ++i) total[i] += block.lane[i];
  }
  return sum_lanes(total);
}

template <class T>
void softmax(Index rows, Index C, T* y, const T* x) {
  for (Index r = 0; r < rows; ++r, y += C, x += C) {
    const T scale = T(1) / row_exp(C, y, x, row_max(C, x));
#pragma omp simd
    for (Index c = 0; c < C; ++c) y[c] = y[c] * scale;
  }
}

// dx = y · (dy - sum(dy · y))
template <class T>
void softmax_backward(Index rows, Index C, T* dx, const T* dy, const T* y) {
  for (Index r = 0; r < rows; ++r, dx += C, dy += C, y += C) {
    T lane[L] = {};
    for (Index c = 0; c < C; c += L) {
      const Index n = width(C, c);
      const Block<T> block(dy + c, n, T(0)), weight(y + c, n, T(0));
      for (Index i = 0; i < L; ++i) lane[i] += block.lane[i] * weight.lane[i];
    }
    const T total = sum_lanes(lane);
#pragma omp simd
    for (Index c = 0; c < C; ++c) dx[c] = y[c] * (dy[c] - total);
  }
}

template <class T>
void log_softmax(Index rows, Index C, T* y, const T* x) {
  for (Index r = 0; r < rows; ++r, y += C, x += C) {
    const T most = row_max(C, x);
    const T log_total = math::log(row_exp<T>(C, nullptr, x, most));
#pragma omp simd
    for (Index c = 0; c < C; ++c) y[c] = (x[c] - most) - log_total;
  }
}

// dx = dy - exp(y) · sum(dy)
template <class T>
void log_softmax_backward(Index rows, Index C, T* dx, const T* dy, const T* y) {
  for (Index r = 0; r < rows; ++r, dx += C, dy += C, y += C) {
    const T total = row_sum(C, dy);
    for (Index c = 0; c < C; c += L) {
      const Index n = width(C, c);
      const Block<T> slope(dy + c, n, T(0));
      Block<T> block(y + c, n, T(0));
      for (Index i = 0; i < L; ++i)
        block.lane[i] = slope.lane[i] - math::exp(block.lane[i]) * total;
      block.store(dx + c, n);
    }
  }
}

template <class T>
void cross_entropy(Index rows, Index C, T* loss, Index loss_stride, T* probability, const T* x,
                   const Index* label, Index label_stride) {
  for (Index r = 0; r < rows; ++r, probability += C, x += C) {
    const T most = row_max(C, x);
    const T chosen = x[label[r * label_stride]];
    const T total = row_exp(C, probability, x, most);
    loss[r * loss_stride] = math::log(total) - (chosen - most);
    const T scale = T(1) / total;
#pragma omp simd
    for (Index c = 0; c < C; ++c) probability[c] = probability[c] * scale;
  }
}

template <class T>
void cross_entropy_backward(Index rows, Index C, T* dx, const T* dloss, Index dloss_stride,
                            const T* probability, const Index* label, Index label_stride) {
  for (Index r = 0; r < rows; ++r, dx += C, probability += C) {
    const T slope = dloss[r * dloss_stride];
    const Index chosen = label[r * label_stride];
    const T at_label = slope * (probability[chosen] - T(1));
#pragma omp simd
    for (Index c = 0; c < C; ++c) dx[c] = slope * probability[c];
    dx[chosen] = at_label;
  }
}

template <class T>
void argmax(Index rows, Index C, Index* out, Index out_stride, const T* x) {
  for (Index r = 0; r < rows; ++r, x += C) {
    Index best = 0;
    for (Index c = 1; c < C && x[best] == x[best]; ++c)
      if (x[c] > x[best] || x[c] != x[c]) best = c;
    out[r * out_stride] = best;
  }
}

template <class T>
inline constexpr RowLoops<T> table = {
    softmax<T>,       softmax_backward<T>,       log_softmax<T>, log_softmax_backward<T>,
    cross_entropy<T>, cross_entropy_backward<T>, argmax<T>};

}  // namespace

const RowLoops<float> rows_f32 = table<float>;
const RowLoops<double> rows_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
