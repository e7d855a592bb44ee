// The loops of Winograd's convolution: transforms between pixels and values at the 36 points
// (winograd_transforms.h), and the products at each point. kernels/cpu/conv_winograd.h has the
// plan that they are parts of.
#pragma once

#include <cstdint>

#include "kernels/cpu/loops/epilogue.h"

namespace understudy::cpu {

// 36 matrices, one for each pair of points: element (r, c) of matrix i is at
// data[i · point_step + r · row_step + c].
template <class T>
struct AtPoints {
  T* data;
  std::int64_t point_step, row_step;
};

// Images (N, H, W, C) and the tiles that cover them. A dilated convolution is an ordinary one on
// each of the dilation_h · dilation_w grids of pixels that are the dilation apart, so the tiles are
// (N, dilation_h, dilation_w, rows, columns): tile (a, b, i, j) begins at pixel (a + 4 i ·
// dilation_h - pad_h, b + 4 j · dilation_w - pad_w) and takes every dilation-th. Pixels outside
// count as zero, and are not written.
struct TileGrid {
  std::int64_t H, W, C, rows, columns, pad_h, pad_w, dilation_h, dilation_w;
};

// Filters (K, 3, 3, C), transformed for the panels of a product. Row r and column i of the panel
// are, for the forward pass, input channel r and filter first_column + i; for the input's gradient
// filter r and input channel first_column + i, the filter turned by 180°.
template <class T>
struct FilterPanel {
  const T* w;
  std::int64_t K, C;
  bool turned;
  std::int64_t first_column;
};

// Memory that will be wanted soon: `rows` stretches of `bytes`, `step` bytes apart. Transforms wait
// for the memory and products leave it idle, so products fetch it.
struct PrefetchRange {
  const void* first;
  std::int64_t rows, bytes, step;
};

// What a new result becomes of an old one.
enum class Accumulate : std::uint8_t { replace, add, add_square };

template <class T>
struct WinogradLoops {
  std::int64_t panel_columns;  // of u: filters that one product computes together
  std::int64_t tile_rows;      // tiles that it takes together; more are best a multiple of this

  // v (count, channels; rows padded with zeros to a whole vector) from `count` tiles and as many
  // channels. zeros: as many as channels.
  void (*input_tiles)(const TileGrid& grid, std::int64_t first, std::int64_t count,
                      std::int64_t first_channel, std::int64_t channels, AtPoints<T> v, const T* x,
                      const T* zeros);
  // z (count, channels; padded likewise) from the 4 × 4 pixels of tiles.
  void (*gradient_tiles)(const TileGrid& grid, std::int64_t first, std::int64_t count,
                         std::int64_t first_channel, std::int64_t channels, AtPoints<T> z,
                         const T* dy, const T* zeros);
  // u = rows [first_row, last_row) of the panel, whose rows are panel_columns long, zero beyond the
  // last filter.
  void (*filters)(const FilterPanel<T>& panel, std::int64_t first_row, std::int64_t last_row,
                  AtPoints<T> u);

  // m (tiles, panel_columns) = or += v (tiles, depth) · u (depth, panel_columns) at each point, of
  // which the first `columns` columns are wanted.
  void (*tile_products)(std::int64_t tiles, std::int64_t depth, std::int64_t columns, AtPoints<T> m,
                        AtPoints<T> v, AtPoints<T> u, bool accumulate,
                        const PrefetchRange (&soon)[2]);
  // Channels [first_channel, first_channel + channels) of y from m, in whose rows they come first.
  void (*output_tiles)(const TileGrid& grid, std::int64_t first, std::int64_t count,
                       std::int64_t first_channel, std::int64_t channels, AtPoints<T> m, T* y,
                       const SumEpilogue<T>& epilogue);

  // d (K, C) = or += zᵀ · v over `tiles` rows of z (tiles, K) and v (tiles, C), at each of the
  // first `points`. Rows of v and d are padded to a whole vector.
  void (*filter_products)(std::int64_t points, std::int64_t tiles, std::int64_t K, std::int64_t C,
                          AtPoints<T> d, AtPoints<T> z, AtPoints<T> v, bool accumulate,
                          const PrefetchRange (&soon)[3]);
  // To dw: what the points of rows [first_row, last_row) of the six, in the sum of `copies` d's,
  // give to the gradient of K filters for C channels. A filter's taps are dw_channels apart.
  void (*filter_gradient)(int first_row, int last_row, std::int64_t K, std::int64_t C,
                          AtPoints<T> d, std::int64_t copies, std::int64_t copy_step, T* dw,
                          std::int64_t dw_channels, Accumulate how);
};

}  // namespace understudy::cpu
