// Convolutions of few channels, as those of images of three colours: a row of a filter is one part
// of its window, if the zeros around the images are written out.
#pragma once

#include <algorithm>

#include "kernels/cpu/conv_shape.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/parallel.h"

namespace understudy::cpu {

// Rows of a filter with so few elements are one part each: S · C consecutive elements of a source
// whose zeros are written out, unless these would be most of it.
inline constexpr Index longest_row = 48;
inline bool takes_rows(const ConvShape& s) {
  const Index padded = (s.H + 2 * s.conv.padding.height) * (s.W + 2 * s.conv.padding.width);
  return s.S > 1 && s.C > 0 && s.conv.dilation.width == 1 && s.S * s.C <= longest_row &&
         padded <= 4 * s.H * s.W;
}

// The same convolution of images with their padding written out, filters' rows as channels.
struct Rows {
  explicit Rows(const ConvShape& s)
      : merged(takes_rows(s)),
        copied(merged && s.conv.padding != HeightWidth(0)),
        pixel_step(s.C),
        shape(s) {
    if (!merged) return;
    shape.H += 2 * s.conv.padding.height;
    shape.W += 2 * s.conv.padding.width;
    shape.conv.padding = 0;
    shape.S = 1;
    shape.C = s.S * s.C;
  }
  Index source_size() const { return copied ? shape.N * shape.H * shape.W * pixel_step : 0; }

  bool merged, copied;
  Index pixel_step;  // elements from one source pixel to the next
  ConvShape shape;
};

template <class T>
const T* with_padding(const Rows& rows, const ConvShape& s, const T* x, T* padded) {
  if (!rows.copied) return x;
  const HeightWidth padding = s.conv.padding;
  const Index line = rows.shape.W * s.C, kept = s.W * s.C;
  parallel_for(s.N * rows.shape.H, std::max<Index>(1, 32768 / line), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const to = padded + i * line;
      const Index n = i / rows.shape.H, h = i % rows.shape.H - padding.height;
      if (h < 0 || h >= s.H) {
        std::fill_n(to, line, T(0));
        continue;
      }
      std::fill_n(to, padding.width * s.C, T(0));
      std::copy_n(x + (n * s.H + h) * kept, kept, to + padding.width * s.C);
      std::fill_n(to + padding.width * s.C + kept, padding.width * s.C, T(0));
    }
  });
  return padded;
}

}  // namespace understudy::cpu
