// Sums of squares of the filters' gradients, one sample at a time. A sample's gradient is a small
// product, G (K, J) = dyᵀ (K, pixels) · windows (pixels, J) with J = R · S · C, of which only the
// square is kept; so a tile of it is made in registers, squared and added, and never stored.
//
// For D gradients dy of the same sample and few pixels there is less to do. For one element of G,
// with a the row of dy and b the column of windows,
//   Σ_d (Σ_q a_dq b_q)² = Σ_{q, q'} (Σ_d a_dq a_dq') · (b_q b_q'),
// which is a product over the pairs q' ≤ q, those with q' < q counted twice, and needs no squares.
//
// Of few pixels many meet the zeros around the image: 44 of 144 for a 3×3 window on 4×4 pixels, and
// 596 of 1224 pairs. A part (r, s) of the window goes over those inside only.
#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/conv_shape.h"
#include "kernels/cpu/conv_windows.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

// Bytes of packed gradients that are worked on at once (of the last cache), and of sums that a
// thread goes on with from sample to sample (of the second).
constexpr Index most_packed = 8 << 20, most_sums = 192 << 10;

// The pixels (p, q) of the result whose window part (r, s) is inside the image: a rectangle.
struct Inside {
  Index p_begin, p_end, q_begin, q_end;

  Index count() const { return (p_end - p_begin) * (q_end - q_begin); }
  static Inside of(const ConvShape& s, const WindowPart& part) {
    const auto [p_begin, p_end] = along(s.P, s.H, s.conv.stride.height, part.h);
    const auto [q_begin, q_end] = along(s.Q, s.W, s.conv.stride.width, part.w);
    return {p_begin, p_end, q_begin, q_end};
  }

 private:
  // The outputs o with 0 <= o · stride + offset < size.
  static Chunk along(Index outputs, Index size, Index stride, Index offset) {
    const Index begin = offset >= 0 ? 0 : std::min(outputs, divide_up(-offset, stride));
    const Index end = offset >= size ? begin : std::min(outputs, divide_up(size - offset, stride));
    return {begin, std::max(begin, end)};
  }
};

constexpr Index pairs_of(Index pixels) { return pixels * (pixels + 1) / 2; }

// Whether the products over pairs are fewer than those over pixels, each of which takes as long as
// four for the squares.
bool pairs_pay(const ConvShape& s, Index gradients) {
  constexpr Index most_pixels = 64;  // the pairs of more are too many to keep
  if (s.P * s.Q > most_pixels) return false;
  Index by_pairs = 0, by_pixels = 0;
  for (Index e = 0; e < s.R * s.S; ++e) {
    const Index inside = Inside::of(s, part_of(s, e)).count();
    by_pairs += pairs_of(inside);
    by_pixels += gradients * (inside + 4);
  }
  return by_pairs < by_pixels;
}

template <class T>
struct SquaredGradients {
  SquaredGradients(const ConvShape& shape, T* all_sums, std::span<const ConstView> gradients,
                   const T* images)
      : s(shape),
        loop(*loops<T>().squares),
        sums(all_sums),
        dy(gradients),
        x(images),
        D(static_cast<Index>(dy.size())),
        pixels(s.P * s.Q),
        J(s.R * s.S * s.C),
        tiles(divide_up(s.K, loop.tile_rows)),
        panels(divide_up(J, loop.tile_columns)),
        pairs(pairs_pay(s, D)),
        depth(pairs ? pairs_of(pixels) : pixels),
        factors(pairs ? 1 : D),
        tile_size(depth * loop.tile_rows),
        sample_size(factors * tiles * tile_size) {}

  void run() {
    if (s.K * J == 0) return;
    if (s.N * D * pixels == 0) {
      std::fill_n(sums, s.K * J, T(0));
      return;
    }
    constexpr auto bytes = static_cast<Index>(sizeof(T));
    const Index samples = std::clamp<Index>(most_packed / (sample_size * bytes), 1, s.N);
    // Units of work: a panel of columns and a group of filter tiles, panels first.
    const Index work = D * s.multiply_adds();
    const Index group =
        divide_up(tiles, std::clamp<Index>(divide_up(num_threads(), panels), 1, tiles));
    const Index groups = divide_up(tiles, group);
    const int chunks =
        static_cast<int>(std::min<Index>(chunk_count(work, conv_grain), panels * groups));
    const Index panel_sums = group * loop.tile_rows * loop.tile_columns;
    const Index block = std::clamp<Index>(most_sums / (panel_sums * bytes), 1, panels);
    const Index row_scratch = pairs ? D * tiles * pixels * loop.tile_rows : 0;
    const Index column_scratch = (pixels + (pairs ? depth : 0)) * loop.tile_columns;
    const Index own = block * panel_sums + std::max(row_scratch, column_scratch);

    Scratch& scratch = Scratch::of_thread();
    scratch.reserve(Scratch::bytes_of<T>(samples * sample_size) +
                    Scratch::bytes_of<T>(chunks * own) +
                    Scratch::bytes_of<Index>((s.R * s.S + 1) * depth));
    T* const packed = scratch.take<T>(samples * sample_size);
    T* const working = scratch.take<T>(chunks * own);
    orders = scratch.take<Index>((s.R * s.S + 1) * depth);
    find_orders();
    for (Index first = 0; first < s.N; first += samples) {
      const Index count = std::min(samples, s.N - first);
      const int packers = static_cast<int>(std::min<Index>(chunks, count));
      run_chunks(packers, [&](int i) {
        const Chunk mine = chunk_at(count, packers, i);
        for (Index n = mine.begin; n < mine.end; ++n)
          pack_sample(first + n, packed + n * sample_size, working + i * own);
      });
      run_chunks(chunks, [&](int i) {
        const Chunk mine = chunk_at(panels * groups, chunks, i);
        for (Index unit = mine.begin; unit < mine.end;) {
          const Index tile = unit / panels * group, panel = unit % panels;
          const Index count_here = std::min({block, panels - panel, mine.end - unit});
          add_block({tile, std::min(tile + group, tiles)}, {panel, panel + count_here},
                    {first, first + count}, packed, working + i * own, first + count == s.N);
          unit += count_here;
        }
      });
    }
  }

  // For each part of the window, and at the end for all parts together: which elements of the rows'
  // depth its own are, in order.
  void find_orders() const {
    for (Index e = 0; e <= s.R * s.S; ++e) {
      const Inside inside = part_or_all(e);
      Index* const order = orders + e * depth;
      Index count = 0;
      for (Index p = inside.p_begin; p < inside.p_end; ++p)
        for (Index q = inside.q_begin; q < inside.q_end; ++q) order[count++] = p * s.Q + q;
      if (!pairs) continue;
      for (Index i = count; i-- > 0;)  // from the last, for they overwrite the pixels
        for (Index j = i + 1; j-- > 0;)
          order[i * (i + 1) / 2 + j] = order[i] * (order[i] + 1) / 2 + order[j];
    }
  }
  Inside part_or_all(Index e) const {
    return e < s.R * s.S ? Inside::of(s, part_of(s, e)) : Inside{0, s.P, 0, s.Q};
  }
  // The part that all of a panel's columns belong to; R · S where there are several.
  Index part_of_panel(Index panel) const {
    const Index first = panel * loop.tile_columns;
    const Index last = std::min(first + loop.tile_columns, J) - 1;
    return first / s.C == last / s.C ? first / s.C : s.R * s.S;
  }

  const T* gradient(Index d, Index n) const {
    return dy[static_cast<std::size_t>(d)].template as<T>() + n * pixels * s.K;
  }

  // [factor][tile][depth][tile_rows] of sample n; `working` for the pairs.
  void pack_sample(Index n, T* packed, T* working) const {
    const Index one = tiles * pixels * loop.tile_rows;
    for (Index d = 0; d < D; ++d)
      loop.pack_rows(pixels, s.K, (pairs ? working : packed) + d * one, gradient(d, n));
    if (!pairs) return;
    std::fill_n(packed, sample_size, T(0));
    for (Index d = 0; d < D; ++d)
      for (Index tile = 0; tile < tiles; ++tile)
        loop.add_row_pairs(pixels, packed + tile * tile_size,
                           working + d * one + tile * pixels * loop.tile_rows);
  }

  // Columns [panel · tile_columns, ...) of the windows of sample n, [pixel][tile_columns], for the
  // pixels in `inside`.
  void pack_panel(Index n, Index panel, const Inside& inside, T* to) const {
    const Index width = loop.tile_columns, last = std::min((panel + 1) * width, J);
    for (Index j = panel * width; j < last;) {
      const Index e = j / s.C, c = j % s.C, columns = std::min(s.C - c, last - j);
      pack_part(n, part_of(s, e), inside, c, columns, to + j % width);
      j += columns;
    }
    if (last % width != 0)
      loop.pack_columns(inside.count(), width - last % width, to + last % width, nullptr, 0);
  }

  // The same for channels [c, c + columns) of one part of the window; zeros outside the image.
  void pack_part(Index n, const WindowPart& part, const Inside& wanted, Index c, Index columns,
                 T* to) const {
    const HeightWidth stride = s.conv.stride;
    const Inside own = Inside::of(s, part);
    for (Index p = wanted.p_begin; p < wanted.p_end; ++p) {
      const bool inside = p >= own.p_begin && p < own.p_end && own.q_begin < own.q_end;
      const Index begin = inside ? own.q_begin : wanted.q_end;
      const Index end = inside ? own.q_end : wanted.q_end;
      const auto zeros = [&](Index count) {
        loop.pack_columns(count, columns, to, nullptr, 0);
        to += count * loop.tile_columns;
      };
      zeros(begin - wanted.q_begin);
      if (inside) {
        const Index h = p * stride.height + part.h, w = begin * stride.width + part.w;
        loop.pack_columns(end - begin, columns, to, x + ((n * s.H + h) * s.W + w) * s.C + c,
                          stride.width * s.C);
        to += (end - begin) * loop.tile_columns;
      }
      zeros(wanted.q_end - end);
    }
  }

  // Adds the samples to the sums of some filter tiles and panels.
  void add_block(Chunk tile_range, Chunk panel_range, Chunk samples, const T* packed, T* working,
                 bool is_last) const {
    const Index width = loop.tile_columns, tile_count = tile_range.end - tile_range.begin;
    const Index panel_sums = tile_count * loop.tile_rows * width;
    const Index count = panel_range.end - panel_range.begin;
    T* const own_sums = working;
    T* const columns = own_sums + count * panel_sums;
    T* const column_pairs = columns + pixels * width;
    if (samples.begin == 0)
      std::fill_n(own_sums, count * panel_sums, T(0));
    else
      for_each_row(tile_range, panel_range, own_sums,
                   [](T* total, T* own, Index n) { std::copy_n(total, n, own); });
    for (Index n = samples.begin; n < samples.end; ++n) {
      const T* const rows =
          packed + (n - samples.begin) * sample_size + tile_range.begin * tile_size;
      for (Index i = 0; i < count; ++i) {
        T* const to = own_sums + i * panel_sums;
        const Index e = part_of_panel(panel_range.begin + i);
        const Inside inside = part_or_all(e);
        const Index* const order = orders + e * depth;
        pack_panel(n, panel_range.begin + i, inside, columns);
        if (pairs) {
          loop.column_pairs(inside.count(), column_pairs, columns);
          loop.add_products(tile_count, depth, pairs_of(inside.count()), to, rows, order,
                            column_pairs);
        } else {
          for (Index d = 0; d < D; ++d)
            loop.add_squares(tile_count, depth, inside.count(), to, rows + d * tiles * tile_size,
                             order, columns);
        }
      }
    }
    // Where a sum of pairs should be zero, rounding may make it less.
    const bool at_least_zero = pairs && is_last;
    for_each_row(tile_range, panel_range, own_sums, [&](T* total, T* own, Index n) {
      for (Index j = 0; j < n; ++j) total[j] = at_least_zero && own[j] < T(0) ? T(0) : own[j];
    });
  }

  // body(sums of filter k from a panel's first column on, the same in own_sums, columns).
  template <class Body>
  void for_each_row(Chunk tile_range, Chunk panel_range, T* own_sums, Body&& body) const {
    const Index width = loop.tile_columns;
    const Index rows = (tile_range.end - tile_range.begin) * loop.tile_rows;
    const Index first = tile_range.begin * loop.tile_rows;
    for (Index panel = panel_range.begin; panel < panel_range.end; ++panel)
      for (Index k = first; k < std::min(first + rows, s.K); ++k)
        body(sums + k * J + panel * width,
             own_sums + ((panel - panel_range.begin) * rows + k - first) * width,
             std::min(width, J - panel * width));
  }

  const ConvShape& s;
  const SquareLoops<T>& loop;
  T* const sums;
  const std::span<const ConstView> dy;
  const T* const x;
  const Index D, pixels, J;
  const Index tiles, panels;  // of filters, of columns
  const bool pairs;
  const Index depth;    // of the rows: pixels, or pairs of them
  const Index factors;  // products to be squared and added a sample
  const Index tile_size, sample_size;
  Index* orders = nullptr;  // [part][depth]
};

// Measured on AVX2 and AVX-512: an image needs some tiles to be worth the transform of its gradient.
bool takes_winograd(const ConvShape& s) {
  constexpr Index fewest_channels = 16, fewest_tiles = 4, tile_pixels = 16;
  const ConvAlgorithm wanted = s.conv.algorithm;
  check(wanted == ConvAlgorithm::automatic || wanted == ConvAlgorithm::implicit ||
            (wanted == ConvAlgorithm::winograd && winograd_applies(s)),
        "[conv2d_squared_weight_gradients] the algorithm '{}' does not apply; 'automatic' and "
        "'implicit' always do, 'winograd' to windows of 3x3 with stride 1",
        understudy::to_string(wanted));
  if (wanted != ConvAlgorithm::automatic) return wanted == ConvAlgorithm::winograd;
  if (!winograd_applies(s) || std::min(s.C, s.K) < fewest_channels || s.N == 0) return false;
  const Index tiles = winograd_tiles(s) / s.N;
  return tiles >= fewest_tiles && 2 * s.P * s.Q >= tiles * tile_pixels;
}

}  // namespace

void CpuBackend::conv2d_squared_weight_gradients(const View& sums, std::span<const ConstView> dy,
                                                 const ConstView& x, const Conv2d& conv) {
  const ConvShape s = conv_shape(x.shape, sums.shape, dy[0].shape, conv);
  const bool winograd = takes_winograd(s);
  with_float(sums.dtype, [&]<class T>(Type<T>) {
    if (winograd) return winograd_squared_gradients(s, sums.as<T>(), dy, x.as<T>());
    SquaredGradients<T>(s, sums.as<T>(), dy, x.as<T>()).run();
  });
}

}  // namespace understudy::cpu
