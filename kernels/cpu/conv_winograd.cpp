#include "kernels/cpu/conv_winograd.h"

#include "kernels/cpu/winograd_blocks.h"

namespace understudy::cpu {
namespace {

using namespace winograd;

// The forward pass and the input's gradient, in the letters of the forward pass: from (N, H, W, C)
// to (N, P, Q, K).
template <class T>
struct Pass {
  Index N;
  TileGrid from, to;
  const T* x;
  FilterPanel<T> filters;
  T* y;
  SumEpilogue<T> epilogue;

  Index tiles() const { return N * tiles_of(to); }
  Index C() const { return from.C; }
  Index K() const { return to.C; }
  Index panels() const { return divide_up(K(), loops<T>().winograd->panel_columns); }
  Index panel_width(Index panel) const {
    const Index columns = loops<T>().winograd->panel_columns;
    return std::min(columns, K() - panel * columns);
  }
  FilterPanel<T> panel(Index index) const {
    FilterPanel<T> one = filters;
    one.first_column = index * loops<T>().winograd->panel_columns;
    return one;
  }
  // The memory of the filters that rows [begin, end) of a panel are made from.
  PrefetchRange filters_soon(Index index, Index begin, Index end) const {
    constexpr auto bytes = static_cast<Index>(sizeof(T));
    const Index column = index * loops<T>().winograd->panel_columns, columns = panel_width(index);
    if (filters.turned)
      return {filters.w + begin * 9 * K() + column, (end - begin) * 9, columns * bytes,
              K() * bytes};
    return {filters.w + column * 9 * C() + begin, columns * 9, (end - begin) * bytes, C() * bytes};
  }
};

// For filters whose 36 matrices fit the cache that the threads share: they are transformed once.
// Then each thread takes blocks of tiles so small that V, and M of one panel of filters, stay in
// its own cache (with 128 channels, 16 tiles are 370 KB), and while it multiplies fetches the
// pixels of the next block.
template <class T>
void by_tiles(const Pass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index C = pass.C(), panels = pass.panels(), tiles = pass.tiles();
  const Index tile_bytes = points * static_cast<Index>(sizeof(T)) * (C + loop.panel_columns);
  const Index tile_count = round_up(std::max(Index{16}, 256 * 1024 / tile_bytes), loop.tile_rows);
  const Block<T> u(C, loop.panel_columns), v(tile_count, C), m(tile_count, loop.panel_columns);
  const int chunks = chunk_count(tiles, loop.tile_rows);
  const Index own = v.size() + m.size();

  Pieces<T> memory(C, panels * u.size(), chunks * own);
  const T* const zeros = memory.take_zeros(C);
  T* const filters = memory.take(panels * u.size());
  T* const blocks = memory.take(chunks * own);

  constexpr Index rows = 16;  // of u, for one step of the loop
  const Index parts = divide_up(C, rows);
  parallel_for(panels * parts, 8, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index panel = i / parts, row = i % parts * rows;
      loop.filters(pass.panel(panel), row, std::min(row + rows, C),
                   u.at(filters + panel * u.size() + row * u.row_step));
    }
  });
  run_chunks(chunks, [&](int chunk) {
    const AtPoints<T> inputs = v.at(blocks + chunk * own), products = m.at(inputs.data + v.size());
    const Chunk mine = chunk_at(tiles, chunks, chunk);
    for_blocks(mine.begin, mine.end, tile_count, loop.tile_rows, [&](Index first, Index count) {
      const Chunk next = {first + count, std::min(first + 2 * count, mine.end)};
      loop.input_tiles(pass.from, first, count, 0, C, inputs, pass.x, zeros);
      for (Index panel = 0; panel < panels; ++panel) {
        const Index width = pass.panel_width(panel);
        const Chunk soon = share(next, panel, panels);
        loop.tile_products(count, C, width, products, inputs, u.at(filters + panel * u.size()),
                           false,
                           {tiles_soon(pass.x, pass.N, pass.from, soon),
                            tiles_soon(pass.y, pass.N, pass.to, soon)});
        loop.output_tiles(pass.to, first, count, panel * loop.panel_columns, width, products,
                          pass.y, pass.epilogue);
      }
    });
  });
}

// For many channels: U would be larger than the cache, but there are few tiles, as networks with
// many channels have small images. V is made for many tiles at once; then each thread takes panels
// of filters, transforms them in its own cache, some channels at a time, and multiplies them with
// all of V.
template <class T>
void by_filters(const Pass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index C = pass.C(), panels = pass.panels();
  const Index most_tiles = std::min(pass.tiles(), Index{128}), most_depth = std::min(C, Index{128});
  const Block<T> u(most_depth, loop.panel_columns), v(most_tiles, C),
      m(most_tiles, loop.panel_columns);
  const int chunks = chunk_count(panels, 1);
  const Index own = u.size() + m.size();

  Pieces<T> memory(C, v.size(), chunks * own);
  const T* const zeros = memory.take_zeros(C);
  T* const inputs = memory.take(v.size());
  T* const blocks = memory.take(chunks * own);

  for_blocks(0, pass.tiles(), most_tiles, loop.tile_rows, [&](Index first, Index count) {
    parallel_for(count, 4, [&](Index begin, Index end) {
      loop.input_tiles(pass.from, first + begin, end - begin, 0, C,
                       v.at(inputs + begin * v.row_step), pass.x, zeros);
    });
    run_chunks(chunks, [&](int chunk) {
      const AtPoints<T> filters = u.at(blocks + chunk * own),
                        products = m.at(filters.data + u.size());
      const Chunk mine = chunk_at(panels, chunks, chunk);
      for (Index panel = mine.begin; panel < mine.end; ++panel) {
        const Index width = pass.panel_width(panel);
        for_blocks(0, C, most_depth, loop.panel_columns, [&](Index row, Index depth) {
          loop.filters(pass.panel(panel), row, row + depth, filters);
          const Index next = row + depth;
          PrefetchRange soon = {};
          if (next < C)
            soon = pass.filters_soon(panel, next, std::min(next + depth, C));
          else if (panel + 1 < mine.end)
            soon = pass.filters_soon(panel + 1, 0, depth);
          loop.tile_products(count, depth, width, products, v.at(inputs + row), filters, row > 0,
                             {soon, {}});
        });
        loop.output_tiles(pass.to, first, count, panel * loop.panel_columns, width, products,
                          pass.y, pass.epilogue);
      }
    });
  });
}

template <class T>
void run(const Pass<T>& pass) {
  if (pass.tiles() == 0 || pass.K() == 0) return;
  const Index filter_bytes = points * pass.C() * pass.K() * static_cast<Index>(sizeof(T));
  if (filter_bytes <= 4 * 1024 * 1024)
    by_tiles(pass);
  else
    by_filters(pass);
}

template <class T>
const T* data_of(const ConstView* view) {
  return view == nullptr ? nullptr : view->as<T>();
}

}  // namespace

bool winograd_applies(const ConvShape& s) {
  return s.R == 3 && s.S == 3 && s.conv.stride == HeightWidth(1);
}

std::int64_t winograd_tiles(const ConvShape& s) {
  return s.N * tiles_of(grid_over(s.P, s.Q, s.K, s.P, s.Q, 0, s.conv.dilation));
}

template <class T>
void winograd_forward(const ConvShape& s, T* y, const T* x, const T* w,
                      const ConvEpilogue& epilogue) {
  run<T>({.N = s.N,
          .from = grid_over(s.H, s.W, s.C, s.P, s.Q, s.conv.padding, s.conv.dilation),
          .to = grid_over(s.P, s.Q, s.K, s.P, s.Q, 0, s.conv.dilation),
          .x = x,
          .filters = {w, s.K, s.C, false, 0},
          .y = y,
          .epilogue = {data_of<T>(epilogue.scale), data_of<T>(epilogue.bias),
                       data_of<T>(epilogue.residual), epilogue.relu}});
}

// A padding of p becomes one of 2 · dilation - p: what the forward pass left out at the border
// comes back.
template <class T>
void winograd_input_gradient(const ConvShape& s, T* dx, const T* dy, const T* w) {
  const HeightWidth padding(2 * s.conv.dilation.height - s.conv.padding.height,
                            2 * s.conv.dilation.width - s.conv.padding.width);
  run<T>({.N = s.N,
          .from = grid_over(s.P, s.Q, s.K, s.H, s.W, padding, s.conv.dilation),
          .to = grid_over(s.H, s.W, s.C, s.H, s.W, 0, s.conv.dilation),
          .x = dy,
          .filters = {w, s.K, s.C, true, 0},
          .y = dx,
          .epilogue = {}});
}

template void winograd_forward(const ConvShape&, float*, const float*, const float*,
                               const ConvEpilogue&);
template void winograd_forward(const ConvShape&, double*, const double*, const double*,
                               const ConvEpilogue&);
template void winograd_input_gradient(const ConvShape&, float*, const float*, const float*);
template void winograd_input_gradient(const ConvShape&, double*, const double*, const double*);

}  // namespace understudy::cpu
