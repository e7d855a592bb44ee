#include "kernels/cpu/conv_few_pixels.h"

#include <algorithm>

#include "kernels/cpu/conv_windows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

constexpr Index most_pixels = 64;
// panel[j][e · C + c][i] = channel c of part e of the window of pixel j · width + i; zero outside
// the image and past the last pixel.
template <class T>
void pack_windows(const ConvShape& s, T* panels, const T* x) {
  const Index width = loops<T>().conv->tile_columns, pixels = s.N * s.P * s.Q;
  const Index length = s.R * s.S * s.C, columns = divide_up(pixels, width) * width;
  parallel_for(s.R * s.S, 1, [&](Index begin, Index end) {
    for (Index e = begin; e < end; ++e) {
      const WindowPart part = part_of(s, e);
      for (Index i = 0; i < columns; ++i) {
        T* const to = panels + (i / width * length + e * s.C) * width + i % width;
        const Index n = i / (s.P * s.Q), p = i / s.Q % s.P, q = i % s.Q;
        const Index h = p * s.conv.stride.height + part.h, v = q * s.conv.stride.width + part.w;
        if (i < pixels && h >= 0 && h < s.H && v >= 0 && v < s.W) {
          const T* const from = x + ((n * s.H + h) * s.W + v) * s.C;
          for (Index c = 0; c < s.C; ++c) to[c * width] = from[c];
        } else {
          for (Index c = 0; c < s.C; ++c) to[c * width] = T(0);
        }
      }
    }
  });
}

// y (pixels, K), from filter `first` to `last`, of by_filter (K, pixels).
template <class T>
void write_result(const ConvShape& s, Index first, Index last, T* y, const T* by_filter,
                  const ConvEpilogue& epilogue) {
  const Index pixels = s.N * s.P * s.Q;
  for (Index i = 0; i < pixels; ++i)
    for (Index k = first; k < last; ++k) {
      T value = by_filter[k * pixels + i];
      if (epilogue.scale != nullptr) value *= epilogue.scale->as<T>()[k];
      if (epilogue.bias != nullptr) value += epilogue.bias->as<T>()[k];
      if (epilogue.residual != nullptr) value += epilogue.residual->as<T>()[i * s.K + k];
      y[i * s.K + k] = epilogue.relu && value < T(0) ? T(0) : value;
    }
}

}  // namespace

bool has_few_pixels(const ConvShape& s) { return s.N * s.P * s.Q <= most_pixels; }

template <class T>
void few_pixels_forward(const ConvShape& s, T* y, const T* x, const T* w,
                        const ConvEpilogue& epilogue) {
  const ConvLoops<T>& loop = *loops<T>().conv;
  const Index pixels = s.N * s.P * s.Q, length = s.R * s.S * s.C;
  if (pixels * s.K == 0) return;
  const Index panel_count = divide_up(pixels, loop.tile_columns);
  const Index filter_tiles = divide_up(s.K, loop.tile_rows);
  const Index filters = filter_tiles * loop.tile_rows;
  const Index panels_size = panel_count * length * loop.tile_columns;
  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(panels_size) + Scratch::bytes_of<T>(s.K * pixels) +
                  Scratch::bytes_of<const T*>(filters) + Scratch::bytes_of<Index>(filters));
  T* const panels = scratch.take<T>(panels_size);
  T* const by_filter = scratch.take<T>(s.K * pixels);
  const T** const rows = scratch.take<const T*>(filters);
  Index* const offset = scratch.take<Index>(filters);
  for (Index k = 0; k < filters; ++k) {
    rows[k] = w + std::min(k, s.K - 1) * length;
    offset[k] = k * pixels;
  }
  pack_windows(s, panels, x);
  const Index tile_grain = std::max<Index>(1, conv_grain / (loop.tile_rows * length * pixels + 1));
  parallel_for(filter_tiles, tile_grain, [&](Index begin, Index end) {
    const Index first = begin * loop.tile_rows;
    const Index last = std::min(end * loop.tile_rows, s.K);
    for (Index j = 0; j < panel_count; ++j) {
      const Index column = j * loop.tile_columns;
      loop.window_product({.pixels = last - first,
                           .parts = 1,
                           .depth = length,
                           .part = rows + first,
                           .panel = panels + j * length * loop.tile_columns,
                           .y = by_filter + column,
                           .offset = offset + first,
                           .columns = std::min(loop.tile_columns, pixels - column),
                           .epilogue = {}});
    }
    write_result(s, first, last, y, by_filter, epilogue);
  });
}

template void few_pixels_forward(const ConvShape&, float*, const float*, const float*,
                                 const ConvEpilogue&);
template void few_pixels_forward(const ConvShape&, double*, const double*, const double*,
                                 const ConvEpilogue&);

}  // namespace understudy::cpu
