// Where the windows of a convolution lie in memory.
#pragma once

#include <algorithm>
#include <span>

#include "kernels/cpu/conv_shape.h"
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu {

// A part of a window, `depth` consecutive elements: for result pixel (p, q) those at source pixel
// (p · step.height + h, q · step.width + w). `filter` is its place in the filter, r · S + s.
struct WindowPart {
  Index h, w, filter;
};

// Part e = r · S + s of the windows of a convolution.
inline WindowPart part_of(const ConvShape& s, Index e) {
  return {e / s.S * s.conv.dilation.height - s.conv.padding.height,
          e % s.S * s.conv.dilation.width - s.conv.padding.width, e};
}

// Some pixels of a result, (N, rows, columns) of them, and the windows that they are made from.
template <class T>
struct Windows {
  const T* x;  // source pixels (N, H, W), pixel_step elements apart
  Index N, H, W, pixel_step;
  Index rows, columns;
  HeightWidth step;
  std::span<const WindowPart> parts;
  Index depth;
  // Result pixel (n, p, q) is at element first + n · image + p · row + q · column.
  Index first, image, row, column;

  Index pixels() const { return N * rows * columns; }
};

// Part pointers and result offsets of a run of pixels, as loops/conv_implicit.cpp reads them.
template <class T>
struct PixelTable {
  const T** part;
  Index* offset;

  // Pixels first to last; parts outside the source, and pixels past the last, point to `zeros`.
  void fill(const Windows<T>& windows, Index first, Index last, const T* zeros) const {
    const Index tile_rows = loops<T>().conv->tile_rows;
    const Index part_count = static_cast<Index>(windows.parts.size());
    Index q = first % windows.columns, p = first / windows.columns % windows.rows;
    Index n = first / windows.columns / windows.rows;
    const Index padded_last = first + divide_up(last - first, tile_rows) * tile_rows;
    for (Index i = first; i < padded_last; ++i) {
      const Index tile = (i - first) / tile_rows, lane = (i - first) % tile_rows;
      const T** to = part + tile * part_count * tile_rows + lane;
      if (i >= last) {
        for (Index e = 0; e < part_count; ++e) to[e * tile_rows] = zeros;
        continue;
      }
      offset[i - first] = windows.first + n * windows.image + p * windows.row + q * windows.column;
      const T* const image = windows.x + n * windows.H * windows.W * windows.pixel_step;
      for (const WindowPart& at : windows.parts) {
        const Index h = p * windows.step.height + at.h, w = q * windows.step.width + at.w;
        const bool inside = h >= 0 && h < windows.H && w >= 0 && w < windows.W;
        *to = inside ? image + (h * windows.W + w) * windows.pixel_step : zeros;
        to += tile_rows;
      }
      if (++q == windows.columns) {
        q = 0;
        if (++p == windows.rows) {
          p = 0;
          ++n;
        }
      }
    }
  }
};

}  // namespace understudy::cpu
