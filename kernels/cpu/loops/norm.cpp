// Batch norm: sums over rows by column, and what is done to each element with the results. Columns
// are independent, and rows are summed in one order, so tiles of any width give the same bits.
#include "kernels/batch_norm.h"
#include "kernels/cpu/loops/vector.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

using batch_norm::rows_per_sum;

// Columns whose sums stay in registers: with all else that a tile holds, a third of AVX-512's 32
// registers or half of the others' 16.
constexpr Index tile_vectors = register_bytes == 64 ? 4 : 2;

// One column is a vector of one lane: what is left where no whole vector fits.
template <class T, Index N>
struct Lanes {
  using Value = Vector<T>;
  static constexpr Index count = N, width = N * lanes<T>;
  Value v[N];
  [[gnu::always_inline]] static Lanes from(const T* p) {
    Lanes out;
    for (Index i = 0; i < N; ++i) out.v[i] = load(p + i * lanes<T>);
    return out;
  }
  [[gnu::always_inline]] void store_to(T* p) const {
    for (Index i = 0; i < N; ++i) store(p + i * lanes<T>, v[i]);
  }
};
template <class T>
struct Lanes<T, 0> {
  using Value = T;
  static constexpr Index count = 1, width = 1;
  Value v[1];
  [[gnu::always_inline]] static Lanes from(const T* p) { return {{*p}}; }
  [[gnu::always_inline]] void store_to(T* p) const { *p = v[0]; }
};

// tile.template operator()<N>(c) for column c on, from wide tiles to single columns.
template <class T, class Tile>
[[gnu::always_inline]] inline void for_tiles(Index columns, Tile&& tile) {
  Index c = 0;
  for (; c + tile_vectors * lanes<T> <= columns; c += tile_vectors * lanes<T>)
    tile.template operator()<tile_vectors>(c);
  for (; c + lanes<T> <= columns; c += lanes<T>) tile.template operator()<1>(c);
  for (; c < columns; ++c) tile.template operator()<0>(c);
}

// ---- statistics ----

// From the block's first row, then moved to the common pivot.
template <class T, Index N>
[[gnu::always_inline]] inline void moments_tile(Index rows, Index columns, double* sum,
                                                double* square, const T* x, const T* pivot) {
  using Tile = Lanes<T, N>;
  const Tile base = Tile::from(x);
  Tile s = {}, q = {};
  for (Index r = 1; r < rows; ++r) {
    const Tile row = Tile::from(x + r * columns);
    for (Index i = 0; i < Tile::count; ++i) {
      const typename Tile::Value d = row.v[i] - base.v[i];
      s.v[i] += d;
      q.v[i] += d * d;
    }
  }
  T ds[Tile::width], dq[Tile::width];
  s.store_to(ds);
  q.store_to(dq);
  const double R = static_cast<double>(rows);
#pragma omp simd
  for (Index j = 0; j < Tile::width; ++j) {
    const double delta = static_cast<double>(x[j]) - static_cast<double>(pivot[j]);
    batch_norm::add_moments(sum[j], square[j], R, delta, static_cast<double>(ds[j]),
                            static_cast<double>(dq[j]));
  }
}

template <class T>
void moments(Index rows, Index columns, double* sum, double* square, const T* x, const T* pivot) {
  for (; rows > 0; rows -= rows_per_sum, x += rows_per_sum * columns) {
    const Index R = rows < rows_per_sum ? rows : rows_per_sum;
    for_tiles<T>(columns, [&]<Index N>(Index c) {
      moments_tile<T, N>(R, columns, sum + c, square + c, x + c, pivot + c);
    });
  }
}

// ---- forward ----

template <class T, bool with_residual, bool with_relu>
void normalize_rows(Index count, Index columns, T* y, const T* x, const T* residual,
                    const ChannelConstants<T>& k) {
  const T *mean = k.mean, *scale = k.scale, *bias = k.bias;
  for (; count > 0; count -= columns, y += columns, x += columns) {
    const Index n = count < columns ? count : columns;
#pragma omp simd
    for (Index c = 0; c < n; ++c) {
      T value = batch_norm::normalized(x[c] - mean[c], scale[c], bias[c]);
      if constexpr (with_residual) value += residual[c];
      if constexpr (with_relu) value = value < T(0) ? T(0) : value;
      y[c] = value;
    }
    if constexpr (with_residual) residual += columns;
  }
}

template <class T>
void normalize(Index count, Index columns, T* y, const T* x, const T* residual, bool relu,
               const ChannelConstants<T>& k) {
  if (residual != nullptr)
    return relu ? normalize_rows<T, true, true>(count, columns, y, x, residual, k)
                : normalize_rows<T, true, false>(count, columns, y, x, residual, k);
  return relu ? normalize_rows<T, false, true>(count, columns, y, x, residual, k)
              : normalize_rows<T, false, false>(count, columns, y, x, residual, k);
}

// ---- backward ----

// Where the gradient passes: everywhere, where y > 0, or where y, made again from x, is. That is
// the same arithmetic as in normalize(), so it is the same mask, without reading y.
enum class Mask { none, from_y, from_x };

template <class T, Mask mask, bool keep, Index N>
[[gnu::always_inline]] inline void gradient_tile(Index rows, Index columns, double* sum,
                                                 double* product, T* masked, const T* dy,
                                                 const T* x, const T* y,
                                                 const ChannelConstants<T>& k, Index c) {
  using Tile = Lanes<T, N>;
  using Value = typename Tile::Value;
  const Tile mean = Tile::from(k.mean + c), scale = Tile::from(k.scale + c),
             bias = Tile::from(k.bias + c);
  constexpr Value zero = {};
  Tile s = {}, p = {};
  for (Index r = 0; r < rows; ++r) {
    const Index at = r * columns + c;
    Tile g = Tile::from(dy + at);
    const Tile row = Tile::from(x + at);
    const Tile out = mask == Mask::from_y ? Tile::from(y + at) : Tile{};
    for (Index i = 0; i < Tile::count; ++i) {
      const Value centred = row.v[i] - mean.v[i];
      if constexpr (mask == Mask::from_y) g.v[i] = out.v[i] > zero ? g.v[i] : zero;
      if constexpr (mask == Mask::from_x)
        g.v[i] = batch_norm::normalized(centred, scale.v[i], bias.v[i]) > zero ? g.v[i] : zero;
      s.v[i] += g.v[i];
      p.v[i] += g.v[i] * centred;
    }
    if constexpr (keep) g.store_to(masked + at);
  }
  T ds[Tile::width], dp[Tile::width];
  s.store_to(ds);
  p.store_to(dp);
#pragma omp simd
  for (Index j = 0; j < Tile::width; ++j) {
    sum[c + j] += static_cast<double>(ds[j]);
    product[c + j] += static_cast<double>(dp[j]);
  }
}

template <class T, Mask mask, bool keep>
void gradient_sums_of(Index rows, Index columns, double* sum, double* product, T* masked,
                      const T* dy, const T* x, const T* y, const ChannelConstants<T>& k) {
  for (; rows > 0; rows -= rows_per_sum) {
    const Index R = rows < rows_per_sum ? rows : rows_per_sum;
    for_tiles<T>(columns, [&]<Index N>(Index c) {
      gradient_tile<T, mask, keep, N>(R, columns, sum, product, masked, dy, x, y, k, c);
    });
    const Index step = R * columns;
    dy += step;
    x += step;
    if constexpr (mask == Mask::from_y) y += step;
    if constexpr (keep) masked += step;
  }
}

template <class T>
void gradient_sums(Index rows, Index columns, double* sum, double* product, T* masked, const T* dy,
                   const T* x, const T* y, bool relu, const ChannelConstants<T>& k) {
  const auto run = [&]<Mask mask>() {
    if (masked != nullptr)
      gradient_sums_of<T, mask, true>(rows, columns, sum, product, masked, dy, x, y, k);
    else
      gradient_sums_of<T, mask, false>(rows, columns, sum, product, masked, dy, x, y, k);
  };
  if (!relu) return run.template operator()<Mask::none>();
  if (y != nullptr) return run.template operator()<Mask::from_y>();
  return run.template operator()<Mask::from_x>();
}

template <class T, Mask mask, bool of_batch>
void gradient_rows(Index count, Index columns, T* dx, const T* dy, const T* x, const T* y,
                   const ChannelConstants<T>& k) {
  const T *mean = k.mean, *scale = k.scale, *bias = k.bias;
  const T *mean_dy = k.mean_dy, *slope = k.slope;
  for (; count > 0; count -= columns, dx += columns, dy += columns, x += columns) {
    const Index n = count < columns ? count : columns;
#pragma omp simd
    for (Index c = 0; c < n; ++c) {
      T g = dy[c];
      const T centred = x[c] - mean[c];
      if constexpr (mask == Mask::from_y) g = y[c] > T(0) ? g : T(0);
      if constexpr (mask == Mask::from_x)
        g = batch_norm::normalized(centred, scale[c], bias[c]) > T(0) ? g : T(0);
      if constexpr (of_batch) g = batch_norm::through_statistics(g, centred, mean_dy[c], slope[c]);
      dx[c] = g * scale[c];
    }
    if constexpr (mask == Mask::from_y) y += columns;
  }
}

template <class T>
void gradient(Index count, Index columns, T* dx, const T* dy, const T* x, const T* y, bool relu,
              const ChannelConstants<T>& k) {
  const auto run = [&]<Mask mask>() {
    if (k.slope != nullptr)
      gradient_rows<T, mask, true>(count, columns, dx, dy, x, y, k);
    else
      gradient_rows<T, mask, false>(count, columns, dx, dy, x, y, k);
  };
  if (!relu) return run.template operator()<Mask::none>();
  if (y != nullptr) return run.template operator()<Mask::from_y>();
  return run.template operator()<Mask::from_x>();
}

template <class T>
inline constexpr NormLoops<T> table = {moments<T>, normalize<T>, gradient_sums<T>, gradient<T>};

}  // namespace

const NormLoops<float> norm_f32 = table<float>;
const NormLoops<double> norm_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
