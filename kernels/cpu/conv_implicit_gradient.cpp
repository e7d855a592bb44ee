// The gradient of the filters: a product over pixels, of which the windows give the columns.
#include <algorithm>

#include "kernels/cpu/conv_implicit.h"
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_windows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

// Where part (r, s) of the windows of result lines [first, last) lies inside x.
template <class T>
Index find_runs(const ConvShape& s, Index pixel_step, Index e, Index first, Index last, const T* dy,
                const T* x, WindowRun<T>* runs) {
  const Conv2d& conv = s.conv;
  const WindowPart part = part_of(s, e);
  // q with 0 <= q · stride + part.w < W
  const Index stride = conv.stride.width;
  const Index begin = part.w >= 0 ? 0 : divide_up(-part.w, stride);
  const Index end = part.w >= s.W ? 0 : std::min(s.Q, divide_up(s.W - part.w, stride));
  if (begin >= end) return 0;
  Index count = 0;
  for (Index line = first; line < last; ++line) {
    const Index h = line % s.P * conv.stride.height + part.h;
    if (h < 0 || h >= s.H) continue;
    runs[count++] = {dy + (line * s.Q + begin) * s.K,
                     x + ((line / s.P * s.H + h) * s.W + begin * stride + part.w) * pixel_step,
                     end - begin};
  }
  return count;
}

}  // namespace

// dw[k, r, s, c] = Σ over n, p, q of dy[n, p, q, k] · x[n, h, w, c]. Threads share the filters, so
// that no sum is kept twice; pixels go by blocks whose dy and x stay in the second cache.
template <class T>
void implicit_weight_gradient(const ConvShape& original, T* dw, const T* dy, const T* x) {
  const Rows rows(original);
  const ConvShape& s = rows.shape;
  const ConvLoops<T>& loop = *loops<T>().conv;
  const Index line_bytes =
      std::max<Index>(1, s.Q * (s.K + rows.pixel_step) * static_cast<Index>(sizeof(T)));
  const Index lines = s.N * s.P;
  const Index block = std::clamp<Index>((1 << 18) / line_bytes, 1, std::max<Index>(1, lines));
  const Index filter_tiles = divide_up(s.K, loop.tile_rows), units = s.R * s.S * filter_tiles;
  const int chunks = static_cast<int>(
      std::min<Index>(chunk_count(s.multiply_adds(), conv_grain), std::max<Index>(1, units)));
  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(rows.source_size()) +
                  Scratch::bytes_of<WindowRun<T>>(block * chunks));
  const T* const source = with_padding(rows, original, x, scratch.take<T>(rows.source_size()));
  WindowRun<T>* const all_runs = scratch.take<WindowRun<T>>(block * chunks);
  const Index length = s.R * s.S * s.C;
  if (lines * s.Q == 0) {
    std::fill_n(dw, s.K * length, T(0));
    return;
  }
  run_chunks(chunks, [&](int i) {
    const Chunk own = chunk_at(units, chunks, i);
    WindowRun<T>* const runs = all_runs + i * block;
    for (Index first = 0; first < lines; first += block)
      for (Index unit = own.begin, e = -1, count = 0; unit < own.end; ++unit) {
        if (unit / filter_tiles != e) {
          e = unit / filter_tiles;
          count = find_runs(s, rows.pixel_step, e, first, std::min(first + block, lines), dy,
                            source, runs);
        }
        const Index k = unit % filter_tiles * loop.tile_rows;
        loop.window_gradient({.runs = runs,
                              .first_filter = k,
                              .run_count = count,
                              .dy_step = s.K,
                              .x_step = s.conv.stride.width * rows.pixel_step,
                              .dw = dw + k * length + e * s.C,
                              .dw_stride = length,
                              .rows = std::min<Index>(loop.tile_rows, s.K - k),
                              .columns = s.C,
                              .accumulate = first > 0});
      }
  });
}

template void implicit_weight_gradient(const ConvShape&, float*, const float*, const float*);
template void implicit_weight_gradient(const ConvShape&, double*, const double*, const double*);

}  // namespace understudy::cpu
