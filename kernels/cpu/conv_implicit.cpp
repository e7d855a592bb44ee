#include "kernels/cpu/conv_implicit.h"

#include <algorithm>
#include <span>

#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_windows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

// panel[j][e · depth + d][i] = w[j · width + i][e · depth + d]: filters as columns. Columns that
// do not exist are zero.
template <class T>
void pack_filters(const ConvShape& s, T* panels, const T* w) {
  const Index width = loops<T>().conv->tile_columns, length = s.R * s.S * s.C;
  // A few steps at a time, so that the lines written stay in the first cache until they are full.
  constexpr Index steps = 32;
  parallel_for(divide_up(s.K, width), 1, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      T* const panel = panels + j * length * width;
      const Index columns = std::min(width, s.K - j * width);
      for (Index at = 0; at < length; at += steps) {
        const Index n = std::min(steps, length - at);
        for (Index i = 0; i < width; ++i) {
          const T* const filter = w + (j * width + i) * length + at;
          for (Index d = 0; d < n; ++d)
            panel[(at + d) * width + i] = i < columns ? filter[d] : T(0);
        }
      }
    }
  });
}

// panel[j][e][k][i] = w[k, part e, j · width + i] for the parts of one class of pixels: input
// channels as columns.
template <class T>
void pack_transposed(const ConvShape& s, std::span<const WindowPart> parts, T* panels, const T* w) {
  const Index width = loops<T>().conv->tile_columns;
  const Index panel_size = static_cast<Index>(parts.size()) * s.K * width;
  parallel_for(divide_up(s.C, width), 1, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      const Index columns = std::min(width, s.C - j * width);
      T* to = panels + j * panel_size;
      for (const WindowPart& part : parts)
        for (Index k = 0; k < s.K; ++k, to += width) {
          std::copy_n(w + (k * s.R * s.S + part.filter) * s.C + j * width, columns, to);
          std::fill_n(to + columns, width - columns, T(0));
        }
    }
  });
}

// Pixels whose pointers are kept at a time: enough to use a panel many times while it is in cache.
template <class T>
Index table_pixels(Index part_count) {
  const Index tiles = std::clamp<Index>(2048 / std::max<Index>(1, part_count), 1, 32);
  return tiles * loops<T>().conv->tile_rows;
}

// A product's working memory: zeros to point to, and each thread's table.
template <class T>
struct Working {
  static std::size_t bytes(Index depth, Index part_count) {
    const Index pixels = table_pixels<T>(part_count);
    const auto threads = static_cast<std::size_t>(num_threads());
    return Scratch::bytes_of<T>(depth) +
           threads * (Scratch::bytes_of<const T*>(pixels * part_count) +
                      Scratch::bytes_of<Index>(pixels)) +
           Scratch::bytes_of<PixelTable<T>>(num_threads());
  }
  Working(Scratch& scratch, Index depth, Index part_count)
      : pixels(table_pixels<T>(part_count)), zeros(scratch.take<T>(depth)) {
    std::fill_n(zeros, depth, T(0));
    tables = scratch.take<PixelTable<T>>(num_threads());
    for (int i = 0; i < num_threads(); ++i)
      tables[i] = {scratch.take<const T*>(pixels * part_count), scratch.take<Index>(pixels)};
  }

  Index pixels;
  T* zeros;
  PixelTable<T>* tables;
};

// y, `columns` wide, over all pixels of `windows` and all panels.
template <class T>
void multiply(const Windows<T>& windows, Index columns, const T* panels, T* y,
              const ConvEpilogue& epilogue, const Working<T>& working) {
  const ConvLoops<T>& loop = *loops<T>().conv;
  const Index parts = static_cast<Index>(windows.parts.size());
  const Index tiles = divide_up(windows.pixels(), loop.tile_rows);
  const Index panel_count = divide_up(columns, loop.tile_columns);
  const Index panel_size = parts * windows.depth * loop.tile_columns;
  const auto from = [](const ConstView* view, Index offset) {
    return view == nullptr ? nullptr : view->as<T>() + offset;
  };
  // Threads share the pixels or, where those are few, the panels.
  const bool by_pixels = tiles >= 8 * num_threads() || panel_count < num_threads();
  const int most = static_cast<int>(std::min<Index>(by_pixels ? tiles : panel_count, 1024));
  const Index work = windows.pixels() * columns * parts * windows.depth;
  const int chunks = std::min(chunk_count(work, conv_grain), most);
  run_chunks(chunks, [&](int i) {
    const Chunk own = by_pixels ? chunk_at(tiles, chunks, i) : Chunk{0, tiles};
    const Chunk panel = by_pixels ? Chunk{0, panel_count} : chunk_at(panel_count, chunks, i);
    const Index end = std::min(own.end * loop.tile_rows, windows.pixels());
    for (Index first = own.begin * loop.tile_rows; first < end; first += working.pixels) {
      const Index last = std::min(first + working.pixels, end);
      const PixelTable<T>& table = working.tables[i];
      table.fill(windows, first, last, working.zeros);
      for (Index j = panel.begin; j < panel.end; ++j) {
        const Index column = j * loop.tile_columns;
        loop.window_product({.pixels = last - first,
                             .parts = parts,
                             .depth = windows.depth,
                             .part = table.part,
                             .panel = panels + j * panel_size,
                             .y = y + column,
                             .offset = table.offset,
                             .columns = std::min(loop.tile_columns, columns - column),
                             .epilogue = {from(epilogue.scale, column), from(epilogue.bias, column),
                                          from(epilogue.residual, column), epilogue.relu}});
      }
    }
  });
}

}  // namespace

template <class T>
void implicit_forward(const ConvShape& original, T* y, const T* x, const T* w,
                      const ConvEpilogue& epilogue) {
  const Rows rows(original);
  const ConvShape& s = rows.shape;
  const Index part_count = s.R * s.S, width = loops<T>().conv->tile_columns;
  const Index panels_size = divide_up(s.K, width) * part_count * s.C * width;
  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(panels_size) + Scratch::bytes_of<T>(rows.source_size()) +
                  Scratch::bytes_of<WindowPart>(part_count) + Working<T>::bytes(s.C, part_count));
  T* const panels = scratch.take<T>(panels_size);
  pack_filters(s, panels, w);
  const T* const source = with_padding(rows, original, x, scratch.take<T>(rows.source_size()));
  WindowPart* const parts = scratch.take<WindowPart>(part_count);
  for (Index e = 0; e < part_count; ++e) parts[e] = part_of(s, e);
  const Windows<T> windows = {.x = source,
                              .N = s.N,
                              .H = s.H,
                              .W = s.W,
                              .pixel_step = rows.pixel_step,
                              .rows = s.P,
                              .columns = s.Q,
                              .step = s.conv.stride,
                              .parts = {parts, static_cast<std::size_t>(part_count)},
                              .depth = s.C,
                              .first = 0,
                              .image = s.P * s.Q * s.K,
                              .row = s.Q * s.K,
                              .column = s.K};
  multiply(windows, s.K, panels, y, epilogue, Working<T>(scratch, s.C, part_count));
}

// dx[n, h, w, c] = Σ over the r, s, k with h + padding = p · stride + r · dilation of
// w[k, r, s, c] · dy[n, p, q, k]. Pixels with the same remainders of h and w by the stride have the
// same r and s: stride.height · stride.width classes, each a convolution with stride 1.
template <class T>
void implicit_input_gradient(const ConvShape& s, T* dx, const T* dy, const T* w) {
  const Conv2d& conv = s.conv;
  const Index part_count = s.R * s.S, width = loops<T>().conv->tile_columns;
  const Index panels_size = divide_up(s.C, width) * part_count * s.K * width;
  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(panels_size) + Scratch::bytes_of<WindowPart>(part_count) +
                  Working<T>::bytes(s.K, part_count));
  T* const panels = scratch.take<T>(panels_size);
  WindowPart* const parts = scratch.take<WindowPart>(part_count);
  const Working<T> working(scratch, s.K, part_count);
  for (Index a = 0; a < std::min(conv.stride.height, s.H); ++a)
    for (Index b = 0; b < std::min(conv.stride.width, s.W); ++b) {
      std::size_t count = 0;
      for (Index e = 0; e < part_count; ++e) {
        const Index h = a + conv.padding.height - e / s.S * conv.dilation.height;
        const Index w_at = b + conv.padding.width - e % s.S * conv.dilation.width;
        if (h % conv.stride.height == 0 && w_at % conv.stride.width == 0)
          parts[count++] = {h / conv.stride.height, w_at / conv.stride.width, e};
      }
      const std::span<const WindowPart> used(parts, count);
      pack_transposed(s, used, panels, w);
      const Windows<T> windows = {.x = dy,
                                  .N = s.N,
                                  .H = s.P,
                                  .W = s.Q,
                                  .pixel_step = s.K,
                                  .rows = divide_up(s.H - a, conv.stride.height),
                                  .columns = divide_up(s.W - b, conv.stride.width),
                                  .step = 1,
                                  .parts = used,
                                  .depth = s.K,
                                  .first = (a * s.W + b) * s.C,
                                  .image = s.H * s.W * s.C,
                                  .row = conv.stride.height * s.W * s.C,
                                  .column = conv.stride.width * s.C};
      multiply(windows, s.C, panels, dx, {}, working);
    }
}

#define UNDERSTUDY_IMPLICIT(T)                                                                   \
  template void implicit_forward(const ConvShape&, T*, const T*, const T*, const ConvEpilogue&); \
  template void implicit_input_gradient(const ConvShape&, T*, const T*, const T*);
UNDERSTUDY_IMPLICIT(float)
UNDERSTUDY_IMPLICIT(double)
#undef UNDERSTUDY_IMPLICIT

}  // namespace understudy::cpu
