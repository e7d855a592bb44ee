// Winograd's convolution, a vector of channels at a time: channels are consecutive in memory, so
// that every step of a transform is one vector operation, and nothing is shuffled but the filters
// of the forward pass.
#include "kernels/cpu/loops/conv_winograd.h"

#include <utility>

#include "kernels/cpu/loops/micro_kernel.h"
#include "kernels/cpu/loops/winograd_transforms.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

using namespace winograd;

constexpr int points = 36;

// ---- tiles ----

struct TilePlace {
  Index n, h, w;  // image, and the pixel that the tile begins at
};

TilePlace place_of(const TileGrid& grid, Index tile) {
  const Index j = tile % grid.columns, row = tile / grid.columns;
  return {row / grid.rows, 4 * (row % grid.rows) - grid.pad_h, 4 * j - grid.pad_w};
}

// The pixels of a tile, those outside the image at `zeros`.
template <class T, int Size>
struct TilePixels {
  const T* at[Size][Size];

  TilePixels(const TileGrid& grid, Index tile, const T* x, const T* zeros) {
    const TilePlace place = place_of(grid, tile);
    for (int i = 0; i < Size; ++i) {
      const Index h = place.h + i;
      const bool row_inside = h >= 0 && h < grid.H;
      const T* const row = x + (place.n * grid.H + h) * grid.W * grid.C;
      for (int j = 0; j < Size; ++j) {
        const Index w = place.w + j;
        at[i][j] = row_inside && w >= 0 && w < grid.W ? row + w * grid.C : zeros;
      }
    }
  }
};

template <class Transform, class T, int Size>
void transform_tiles(const TileGrid& grid, Index first, Index count, const AtPoints<T>& to,
                     const T* x, const T* zeros) {
  constexpr Index L = lanes<T>;
  for (Index t = 0; t < count; ++t) {
    const TilePixels<T, Size> pixels(grid, first + t, x, zeros);
    T* const row = to.data + t * to.row_step;
    const auto at_channel = [&](Index c, auto load_from) __attribute__((always_inline)) {
      in_both_directions<Transform, Vector<T>, Size, 6>(
          [&](int i, int j)
              __attribute__((always_inline)) { return load_from(pixels.at[i][j] + c); },
          [&](int i, int j, Vector<T> value) __attribute__((always_inline)) {
            store(row + c + (6 * i + j) * to.point_step, value);
          });
    };
    Index c = 0;
    for (; c + L <= grid.C; c += L)
      at_channel(
          c, [](const T* p) __attribute__((always_inline)) { return load(p); });
    if (c < grid.C)
      at_channel(
          c, [n = grid.C - c](const T* p)
                 __attribute__((always_inline)) { return load_some(p, n); });
  }
}

// scale, bias, residual and ReLU, for one vector of channels.
template <class T>
struct Finish {
  const TileEpilogue<T>& epilogue;
  Vector<T> scale, bias;
  Index n;

  [[gnu::always_inline]] Finish(const TileEpilogue<T>& e, Index channel, Index count)
      : epilogue(e), scale{}, bias{}, n(count) {
    if (e.scale != nullptr) scale = load_some(e.scale + channel, n);
    if (e.bias != nullptr) bias = load_some(e.bias + channel, n);
  }
  [[gnu::always_inline]] Vector<T> operator()(Vector<T> y, Index offset) const {
    if (epilogue.scale != nullptr) y = y * scale;
    if (epilogue.bias != nullptr) y = y + bias;
    if (epilogue.residual != nullptr) y = y + load_some(epilogue.residual + offset, n);
    if (epilogue.relu) y = y < T(0) ? Vector<T>{} : y;  // NaN passes, as in elementwise.h
    return y;
  }
};

template <class T, bool Plain>
void output_tiles_as(const TileGrid& grid, Index first, Index count, Index first_channel,
                     Index channels, const AtPoints<T>& m, T* y, const TileEpilogue<T>& epilogue) {
  constexpr Index L = lanes<T>;
  for (Index t = 0; t < count; ++t) {
    const TilePlace place = place_of(grid, first + t);
    const Index rows = grid.H - place.h, columns = grid.W - place.w;
    const Index corner = ((place.n * grid.H + place.h) * grid.W + place.w) * grid.C + first_channel;
    for (Index c = 0; c < channels; c += L) {
      const Index n = channels - c < L ? channels - c : L;
      const Finish<T> finish(epilogue, first_channel + c, Plain ? 0 : n);
      const T* const values = m.data + t * m.row_step + c;
      in_both_directions<OutputTransform<T>, Vector<T>, 6, 4>(
          [&](int i, int j)
              __attribute__((always_inline)) { return load(values + (6 * i + j) * m.point_step); },
          [&](int i, int j, Vector<T> value) __attribute__((always_inline)) {
            if (i >= rows || j >= columns) return;
            const Index offset = corner + (i * grid.W + j) * grid.C + c;
            if constexpr (!Plain) value = finish(value, offset);
            if (n == L)
              store(y + offset, value);
            else
              store_some(y + offset, value, n);
          });
    }
  }
}

template <class T>
void output_tiles(const TileGrid& grid, Index first, Index count, Index first_channel,
                  Index channels, const AtPoints<T>& m, T* y, const TileEpilogue<T>& epilogue) {
  const bool plain = epilogue.scale == nullptr && epilogue.bias == nullptr &&
                     epilogue.residual == nullptr && !epilogue.relu;
  const auto loop = plain ? output_tiles_as<T, true> : output_tiles_as<T, false>;
  loop(grid, first, count, first_channel, channels, m, y, epilogue);
}

// ---- filters ----

// Swaps the lanes of a that have bit Half with the lanes of b that have not.
template <class T, int Half, int... Lane>
[[gnu::always_inline]] inline void exchange(Vector<T>& a, Vector<T>& b,
                                            std::integer_sequence<int, Lane...>) {
  constexpr int L = sizeof...(Lane);
  const Vector<T> first =
      __builtin_shufflevector(a, b, ((Lane & Half) != 0 ? L + (Lane ^ Half) : Lane)...);
  b = __builtin_shufflevector(a, b, ((Lane & Half) != 0 ? L + Lane : Lane | Half)...);
  a = first;
}

// Transposes the square matrix whose rows are the vectors: swaps the off-diagonal quarters, then
// those of the quarters, down to single elements.
template <class T, int Half = lanes<T> / 2>
[[gnu::always_inline]] inline void transpose(Vector<T> (&rows)[lanes<T>]) {
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; ++i)
    if ((i & Half) == 0)
      exchange<T, Half>(rows[i], rows[i | Half], std::make_integer_sequence<int, lanes<T>>{});
  if constexpr (Half > 1) transpose<T, Half / 2>(rows);
}

template <class T, class LoadTap>
[[gnu::always_inline]] inline void transform_filters(LoadTap&& load_tap, T* to, Index point_step) {
  in_both_directions<FilterTransform<T>, Vector<T>, 3, 6>(
      load_tap, [&](int i, int j, Vector<T> value) __attribute__((always_inline)) {
        store(to + (6 * i + j) * point_step, value);
      });
}

// A vector is filters first_filter, ... of one channel; in memory channels are what is consecutive.
template <class T>
void filters_as_columns(const FilterPanel<T>& panel, Index first_filter, Index first_row,
                        Index last_row, T* u, const AtPoints<T>& to) {
  constexpr Index L = lanes<T>;
  const Index filters = panel.K - first_filter < L ? panel.K - first_filter : L;
  for (Index c = first_row; c < last_row; c += L) {
    const Index channels = last_row - c < L ? last_row - c : L;
    Vector<T> taps[9][L];
    for (int tap = 0; tap < 9; ++tap) {
      const T* const from = panel.w + (first_filter * 9 + tap) * panel.C + c;
      for (Index k = 0; k < L; ++k)
        taps[tap][k] = k < filters ? load_some(from + k * 9 * panel.C, channels) : Vector<T>{};
      transpose<T>(taps[tap]);
    }
    for (Index r = 0; r < channels; ++r)
      transform_filters<T>(
          [&](int i, int j) __attribute__((always_inline)) { return taps[3 * i + j][r]; },
          u + (c + r) * to.row_step, to.point_step);
  }
}

// A vector is input channels first_channel, ... of one filter.
template <class T>
void channels_as_columns(const FilterPanel<T>& panel, Index first_channel, Index first_row,
                         Index last_row, T* u, const AtPoints<T>& to) {
  constexpr Index L = lanes<T>;
  const Index n = panel.C - first_channel < L ? panel.C - first_channel : L;
  for (Index k = first_row; k < last_row; ++k) {
    const T* const last_tap = panel.w + (k * 9 + 8) * panel.C + first_channel;
    transform_filters<T>(
        [&](int i, int j) __attribute__((always_inline)) {
          const T* const tap = last_tap - (3 * i + j) * panel.C;
          return n == L ? load(tap) : load_some(tap, n);
        },
        u + k * to.row_step, to.point_step);
  }
}

template <class T>
void filters(const FilterPanel<T>& panel, Index first_row, Index last_row, const AtPoints<T>& u) {
  const Index all = panel.turned ? panel.C : panel.K;
  for (int v = 0; v < tile_vectors; ++v) {
    const Index first = panel.first_column + v * lanes<T>;
    if (first >= all) return;  // tile_products does without this vector
    const auto part = panel.turned ? channels_as_columns<T> : filters_as_columns<T>;
    part(panel, first, first_row, last_row, u.data + v * lanes<T>, u);
  }
}

// ---- products ----

// Calls body(number) with number a compile-time constant, for 1 <= n <= Most.
template <int Most, class Body>
[[gnu::always_inline]] inline void with_constant(Index n, Body&& body) {
  if constexpr (Most > 1)
    if (n < Most) return with_constant<Most - 1>(n, body);
  body(std::integral_constant<int, Most>{});
}

template <class T, int Vectors>
void tile_products_of(Index tiles, Index depth, const AtPoints<T>& m, const AtPoints<T>& v,
                      const AtPoints<T>& u) {
  for (int point = 0; point < points; ++point) {
    const T* const panel = u.data + point * u.point_step;
    for (Index t = 0; t < tiles; t += tile_rows) {
      const T* const from = v.data + point * v.point_step + t * v.row_step;
      T* const to = m.data + point * m.point_step + t * m.row_step;
      with_constant<tile_rows>(
          tiles - t < tile_rows ? tiles - t : tile_rows, [&]<int Rows>(
                                                             std::integral_constant<int, Rows>)
                                                             __attribute__((always_inline)) {
                                                               const T* rows[Rows];
                                                               for (int i = 0; i < Rows; ++i)
                                                                 rows[i] = from + i * v.row_step;
                                                               Sums<T, Rows, Vectors> sums;
                                                               sums.clear();
                                                               sums.add(depth, rows, 1, panel,
                                                                        tile_columns<T>);
                                                               for (int i = 0; i < Rows; ++i)
                                                                 for (int j = 0; j < Vectors; ++j)
                                                                   store(to + i * m.row_step +
                                                                             j * lanes<T>,
                                                                         sums.at[i][j]);
                                                             });
    }
  }
}

template <class T>
void tile_products(Index tiles, Index depth, Index columns, const AtPoints<T>& m,
                   const AtPoints<T>& v, const AtPoints<T>& u) {
  static_assert(tile_vectors == 2);
  const auto loop = columns > lanes<T> ? tile_products_of<T, 2> : tile_products_of<T, 1>;
  loop(tiles, depth, m, v, u);
}

// d rows [0, Rows), one column of vectors.
template <class T, int Rows, int Vectors>
[[gnu::always_inline]] inline void filter_product(Index tiles, T* d, Index d_step, const T* z,
                                                  Index z_step, const T* v, Index v_step,
                                                  bool accumulate) {
  const T* rows[Rows];
  for (int i = 0; i < Rows; ++i) rows[i] = z + i;
  Sums<T, Rows, Vectors> sums;
  sums.clear();
  sums.add(tiles, rows, z_step, v, v_step);
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vectors; ++j) {
      T* const to = d + i * d_step + j * lanes<T>;
      store(to, accumulate ? load(to) + sums.at[i][j] : sums.at[i][j]);
    }
}

template <class T>
void filter_products(Index tiles, Index K, Index C, const AtPoints<T>& d, const AtPoints<T>& z,
                     const AtPoints<T>& v, bool accumulate) {
  for (int point = 0; point < points; ++point)
    for (Index c = 0; c < C; c += tile_columns<T>) {
      const T* const columns = v.data + point * v.point_step + c;
      for (Index k = 0; k < K; k += tile_rows) {
        const T* const rows = z.data + point * z.point_step + k;
        T* const to = d.data + point * d.point_step + k * d.row_step + c;
        with_constant<tile_rows>(
            K - k < tile_rows ? K - k : tile_rows, [&]<int Rows>(std::integral_constant<int, Rows>)
                                                       __attribute__((always_inline)) {
                                                         if (C - c > lanes<T>)
                                                           filter_product<T, Rows, 2>(
                                                               tiles, to, d.row_step, rows,
                                                               z.row_step, columns, v.row_step,
                                                               accumulate);
                                                         else
                                                           filter_product<T, Rows, 1>(
                                                               tiles, to, d.row_step, rows,
                                                               z.row_step, columns, v.row_step,
                                                               accumulate);
                                                       });
      }
    }
}

template <class T>
void filter_gradient(Index K, Index C, const AtPoints<T>& d, Index copies, Index copy_step, T* dw,
                     Index dw_channels, bool accumulate) {
  constexpr Index L = lanes<T>;
  for (Index k = 0; k < K; ++k)
    for (Index c = 0; c < C; c += L) {
      const Index n = C - c < L ? C - c : L;
      const T* const from = d.data + k * d.row_step + c;
      T* const to = dw + k * 9 * dw_channels + c;
      in_both_directions<FilterGradientTransform<T>, Vector<T>, 6, 3>(
          [&](int i, int j) __attribute__((always_inline)) {
            const T* const value = from + (6 * i + j) * d.point_step;
            Vector<T> sum = load(value);
            for (Index copy = 1; copy < copies; ++copy) sum += load(value + copy * copy_step);
            return sum;
          },
          [&](int i, int j, Vector<T> value) __attribute__((always_inline)) {
            T* const tap = to + (3 * i + j) * dw_channels;
            store_some(tap, accumulate ? load_some(tap, n) + value : value, n);
          });
    }
}

template <class T>
inline constexpr WinogradLoops<T> table = {tile_columns<T>,
                                           tile_rows,
                                           transform_tiles<InputTransform<T>, T, 6>,
                                           transform_tiles<GradientTransform<T>, T, 4>,
                                           filters<T>,
                                           tile_products<T>,
                                           output_tiles<T>,
                                           filter_products<T>,
                                           filter_gradient<T>};

}  // namespace

const WinogradLoops<float> winograd_f32 = table<float>;
const WinogradLoops<double> winograd_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
