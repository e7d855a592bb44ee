// Winograd's convolution, a vector of channels at a time: channels are consecutive in memory, so
// that every step of a transform is one vector operation, and nothing is shuffled but the filters
// of the forward pass.
#include "kernels/cpu/loops/conv_winograd.h"

#include <utility>

#include "kernels/cpu/loops/winograd_products.h"
#include "kernels/cpu/loops/winograd_transforms.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

using namespace winograd;

// To the next of 36 addresses. Said in this way, gcc does not compute all 36 ahead and run out of
// registers (a third of the time of a transform).
template <class T>
[[gnu::always_inline]] inline void advance(T*& address, Index step) {
  address += step;
  asm("" : "+r"(address));
}

// ---- tiles ----

// Where a tile is: its image, and the pixel that it begins at.
class TilePlace {
 public:
  TilePlace(const TileGrid& grid, Index tile) : grid_(grid) {
    const auto take = [&](Index size) {
      const Index index = tile % size;
      tile /= size;
      return index;
    };
    column_ = take(grid.columns);
    row_ = take(grid.rows);
    b_ = take(grid.dilation_w);
    a_ = take(grid.dilation_h);
    n = tile;
    place();
  }
  void next() {
    if (++column_ == grid_.columns) {
      column_ = 0;
      if (++row_ == grid_.rows) {
        row_ = 0;
        if (++b_ == grid_.dilation_w) {
          b_ = 0;
          if (++a_ == grid_.dilation_h) {
            a_ = 0;
            ++n;
          }
        }
      }
    }
    place();
  }
  Index n, h, w;

 private:
  void place() {
    h = a_ + 4 * row_ * grid_.dilation_h - grid_.pad_h;
    w = b_ + 4 * column_ * grid_.dilation_w - grid_.pad_w;
  }

  const TileGrid& grid_;
  Index a_, b_, row_, column_;
};

// The pixels of a tile, those outside the image at `zeros`.
template <class T, int Size>
struct TilePixels {
  const T* at[Size][Size];

  TilePixels(const TileGrid& grid, const TilePlace& place, const T* x, const T* zeros) {
    for (int i = 0; i < Size; ++i) {
      const Index h = place.h + i * grid.dilation_h;
      const bool row_inside = h >= 0 && h < grid.H;
      const T* const row = row_inside ? x + (place.n * grid.H + h) * grid.W * grid.C : zeros;
      for (int j = 0; j < Size; ++j) {
        const Index w = place.w + j * grid.dilation_w;
        at[i][j] = row_inside && w >= 0 && w < grid.W ? row + w * grid.C : zeros;
      }
    }
  }
};

template <class Transform, class T, int Size>
void transform_tiles(const TileGrid& grid, Index first, Index count, Index first_channel,
                     Index channels, AtPoints<T> to, const T* x, const T* zeros) {
  constexpr Index L = lanes<T>;
  constexpr int parts = Size == 6 && register_bytes == 64 ? 2 : 1;
  TilePlace place(grid, first);
  for (Index t = 0; t < count; ++t, place.next()) {
    const TilePixels<T, Size> pixels(grid, place, x + first_channel, zeros);
    for (Index c = 0; c < channels; c += L) {
      const Index n = channels - c < L ? channels - c : L;
      T* values = to.data + t * to.row_step + c;
      const auto put = [&](int, int, Vector<T> value) __attribute__((always_inline)) {
        store(values, value);
        advance(values, to.point_step);
      };
      const auto whole = [&](int i, int j) __attribute__((always_inline)) {
        return load(pixels.at[i][j] + c);
      };
      const auto some = [&](int i, int j) __attribute__((always_inline)) {
        return load_some(pixels.at[i][j] + c, n);
      };
      if (n == L)
        in_both_directions<Transform, Vector<T>, Size, 6, parts>(whole, put);
      else
        in_both_directions<Transform, Vector<T>, Size, 6, parts>(some, put);
    }
  }
}

template <class T, bool Plain>
void output_tiles_as(const TileGrid& grid, Index first, Index count, Index first_channel,
                     Index channels, AtPoints<T> m, T* y, const SumEpilogue<T>& epilogue) {
  constexpr Index L = lanes<T>;
  const Index pixel = grid.C, row = grid.W * grid.C;
  const Index row_step = grid.dilation_h * row, column_step = grid.dilation_w * pixel;
  TilePlace place(grid, first);
  for (Index t = 0; t < count; ++t, place.next()) {
    // Of the 4 × 4, how many are inside.
    const Index rows = (grid.H - place.h + grid.dilation_h - 1) / grid.dilation_h;
    const Index columns = (grid.W - place.w + grid.dilation_w - 1) / grid.dilation_w;
    const Index corner = (place.n * grid.H + place.h) * row + place.w * pixel + first_channel;
    for (Index c = 0; c < channels; c += L) {
      const Index n = channels - c < L ? channels - c : L;
      const Finish<T> finish(epilogue, first_channel + c, Plain ? 0 : n);
      const T* column = m.data + t * m.row_step + c;
      const auto get = [&](int i, int) __attribute__((always_inline)) {
        const Vector<T> value = load(column + i * 6 * m.point_step);
        if (i == 5) advance(column, m.point_step);
        return value;
      };
      const auto put = [&](int i, int j, Vector<T> value) __attribute__((always_inline)) {
        if (i >= rows || j >= columns) return;
        const Index offset = corner + i * row_step + j * column_step + c;
        if constexpr (!Plain) value = finish(value, offset);
        if (n == L)
          store(y + offset, value);
        else
          store_some(y + offset, value, n);
      };
      in_both_directions<OutputTransform<T>, Vector<T>, 6, 4>(get, put);
    }
  }
}

template <class T>
void output_tiles(const TileGrid& grid, Index first, Index count, Index first_channel,
                  Index channels, AtPoints<T> m, T* y, const SumEpilogue<T>& epilogue) {
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

// A vector is filters first_filter, ... of one channel; in memory channels are what is consecutive.
template <class T>
void filters_as_columns(const FilterPanel<T>& panel, Index first_filter, Index first_row,
                        Index last_row, T* u, AtPoints<T> to) {
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
    for (Index r = 0; r < channels; ++r) {
      const auto get = [&](int i, int j) __attribute__((always_inline)) {
        return taps[3 * i + j][r];
      };
      T* values = u + (c + r - first_row) * to.row_step;
      const auto put = [&](int, int, Vector<T> value) __attribute__((always_inline)) {
        store(values, value);
        advance(values, to.point_step);
      };
      in_both_directions<FilterTransform<T>, Vector<T>, 3, 6>(get, put);
    }
  }
}

// A vector is input channels first_channel, ... of one filter.
template <class T>
void channels_as_columns(const FilterPanel<T>& panel, Index first_channel, Index first_row,
                         Index last_row, T* u, AtPoints<T> to) {
  constexpr Index L = lanes<T>;
  const Index n = panel.C - first_channel < L ? panel.C - first_channel : L;
  for (Index k = first_row; k < last_row; ++k) {
    const T* const last_tap = panel.w + (k * 9 + 8) * panel.C + first_channel;
    const auto get = [&](int i, int j) __attribute__((always_inline)) {
      const T* const tap = last_tap - (3 * i + j) * panel.C;
      return n == L ? load(tap) : load_some(tap, n);
    };
    T* values = u + (k - first_row) * to.row_step;
    const auto put = [&](int, int, Vector<T> value) __attribute__((always_inline)) {
      store(values, value);
      advance(values, to.point_step);
    };
    in_both_directions<FilterTransform<T>, Vector<T>, 3, 6>(get, put);
  }
}

template <class T>
void filters(const FilterPanel<T>& panel, Index first_row, Index last_row, AtPoints<T> u) {
  const Index all = panel.turned ? panel.C : panel.K;
  for (int v = 0; v < tile_vectors; ++v) {
    const Index first = panel.first_column + v * lanes<T>;
    if (first >= all) return;  // tile_products does without this vector
    const auto part = panel.turned ? channels_as_columns<T> : filters_as_columns<T>;
    part(panel, first, first_row, last_row, u.data + v * lanes<T>, u);
  }
}

// ---- the gradient of the filters ----

// Gᵀ m G = Σ over rows i of (Gᵀ eᵢ) (mᵢ G), eᵢ the unit vector.
template <class T>
void filter_gradient(int first_row, int last_row, Index K, Index C, AtPoints<T> d, Index copies,
                     Index copy_step, T* dw, Index dw_channels, Accumulate how) {
  constexpr Index L = lanes<T>;
  T weight[6][3];
  for (int row = first_row; row < last_row; ++row) {
    T unit[6] = {};
    unit[row] = 1;
    FilterGradientTransform<T>::apply(unit, weight[row]);
  }
  for (Index k = 0; k < K; ++k)
    for (Index c = 0; c < C; c += L) {
      const Index n = C - c < L ? C - c : L;
      T* const taps = dw + k * 9 * dw_channels + c;
      Vector<T> sums[3][3] = {};
      const T* values = d.data + k * d.row_step + c;
      for (int row = first_row; row < last_row; ++row) {
        Vector<T> m[6], half[3];
#pragma GCC unroll 6
        for (int j = 0; j < 6; ++j, values += d.point_step) {
          m[j] = load(values);
          for (Index copy = 1; copy < copies; ++copy) m[j] += load(values + copy * copy_step);
        }
        FilterGradientTransform<T>::apply(m, half);
#pragma GCC unroll 3
        for (int i = 0; i < 3; ++i)
#pragma GCC unroll 3
          for (int j = 0; j < 3; ++j) sums[i][j] += weight[row][i] * half[j];
      }
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) {
          T* const tap = taps + (3 * i + j) * dw_channels;
          Vector<T> value = sums[i][j];
          if (how == Accumulate::add_square) value *= value;
          if (how != Accumulate::replace) value += load_some(tap, n);
          store_some(tap, value, n);
        }
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
