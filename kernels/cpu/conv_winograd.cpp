#include "kernels/cpu/conv_winograd.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_blocks.h"

namespace understudy::cpu {
namespace {

using namespace winograd;

// The forward pass and the input's gradient: x (N, H, W, C) to y (N, P, Q, K) in their letters.
template <class T>
struct Pass {
  Index N;
  TileGrid from, to;
  const T* x;
  FilterPanel<T> filters;
  T* y;
  TileEpilogue<T> epilogue;

  Index tiles() const { return N * to.rows * to.columns; }
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
};

template <class T>
const T* take_zeros(Scratch& scratch, Index count) {
  T* const zeros = scratch.take<T>(count);
  std::fill_n(zeros, count, T(0));
  return zeros;
}

// Tiles of a block whose V and M, for all channels and for one panel of filters, take up to
// `bytes`.
template <class T>
Index block_tiles(const Pass<T>& pass, Index bytes) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index per_tile = points * static_cast<Index>(sizeof(T)) * (pass.C() + loop.panel_columns);
  return std::max(loop.tile_rows, bytes / per_tile / loop.tile_rows * loop.tile_rows);
}

// For filters whose 36 matrices fit the cache that the threads share: they are transformed once.
// Then each thread takes blocks of tiles so small that V and M stay in its own cache.
template <class T>
void by_tiles(const Pass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index tiles = pass.tiles(), tile_count = block_tiles(pass, 384 * 1024);
  const Block<T> u(pass.C(), loop.panel_columns), v(tile_count, pass.C()),
      m(tile_count, loop.panel_columns);
  const int chunks = chunk_count(tiles, 1);
  const Index own = v.size() + m.size();

  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(pass.C()) + Scratch::bytes_of<T>(pass.panels() * u.size()) +
                  Scratch::bytes_of<T>(chunks * own));
  const T* const zeros = take_zeros<T>(scratch, pass.C());
  T* const filters = scratch.take<T>(pass.panels() * u.size());
  T* const blocks = scratch.take<T>(chunks * own);

  constexpr Index rows = 16;  // of U: enough for a step of a parallel loop
  const Index parts = divide_up(pass.C(), rows);
  parallel_for(pass.panels() * parts, 8, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index panel = i / parts, row = i % parts * rows;
      loop.filters(pass.panel(panel), row, std::min(row + rows, pass.C()),
                   u.at(filters + panel * u.size()));
    }
  });
  run_chunks(chunks, [&](int chunk) {
    const AtPoints<T> inputs = v.at(blocks + chunk * own), products = m.at(inputs.data + v.size());
    const Chunk mine = chunk_at(tiles, chunks, chunk);
    for_blocks(mine.begin, mine.end, tile_count, loop.tile_rows, [&](Index first, Index count) {
      loop.input_tiles(pass.from, first, count, inputs, pass.x, zeros);
      for (Index panel = 0; panel < pass.panels(); ++panel) {
        const Index width = pass.panel_width(panel);
        loop.tile_products(count, pass.C(), width, products, inputs,
                           u.at(filters + panel * u.size()));
        loop.output_tiles(pass.to, first, count, panel * loop.panel_columns, width, products,
                          pass.y, pass.epilogue);
      }
    });
  });
}

// For many channels: U would be larger than the cache, but there are few tiles, as networks with
// many channels have small images. V is made for many tiles at once; then each thread takes panels
// of filters, transforms them in its own cache, and multiplies them with all of V.
template <class T>
void by_filters(const Pass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index most_tiles = std::min(pass.tiles(), Index{256});
  const Index tile_count = std::min(most_tiles, round_up(64, loop.tile_rows));
  const Block<T> u(pass.C(), loop.panel_columns), v(most_tiles, pass.C()),
      m(tile_count, loop.panel_columns);
  const int chunks = chunk_count(pass.panels(), 1);
  const Index own = u.size() + m.size();

  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(pass.C()) + Scratch::bytes_of<T>(v.size()) +
                  Scratch::bytes_of<T>(chunks * own));
  const T* const zeros = take_zeros<T>(scratch, pass.C());
  T* const inputs = scratch.take<T>(v.size());
  T* const blocks = scratch.take<T>(chunks * own);

  for_blocks(0, pass.tiles(), most_tiles, loop.tile_rows, [&](Index from, Index count) {
    parallel_for(count, 4, [&](Index begin, Index end) {
      loop.input_tiles(pass.from, from + begin, end - begin, v.at(inputs + begin * v.row_step),
                       pass.x, zeros);
    });
    run_chunks(chunks, [&](int chunk) {
      const AtPoints<T> filters = u.at(blocks + chunk * own),
                        products = m.at(filters.data + u.size());
      const Chunk mine = chunk_at(pass.panels(), chunks, chunk);
      for (Index panel = mine.begin; panel < mine.end; ++panel) {
        const Index width = pass.panel_width(panel);
        loop.filters(pass.panel(panel), 0, pass.C(), filters);
        for_blocks(0, count, tile_count, loop.tile_rows, [&](Index first, Index n) {
          loop.tile_products(n, pass.C(), width, products, v.at(inputs + first * v.row_step),
                             filters);
          loop.output_tiles(pass.to, from + first, n, panel * loop.panel_columns, width, products,
                            pass.y, pass.epilogue);
        });
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
  return s.R == 3 && s.S == 3 && s.conv.stride == HeightWidth(1) &&
         s.conv.dilation == HeightWidth(1);
}

template <class T>
void winograd_forward(const ConvShape& s, T* y, const T* x, const T* w,
                      const ConvEpilogue& epilogue) {
  run<T>({.N = s.N,
          .from = grid_over(s.H, s.W, s.C, s.P, s.Q, s.conv.padding),
          .to = grid_over(s.P, s.Q, s.K, s.P, s.Q, 0),
          .x = x,
          .filters = {w, s.K, s.C, false, 0},
          .y = y,
          .epilogue = {data_of<T>(epilogue.scale), data_of<T>(epilogue.bias),
                       data_of<T>(epilogue.residual), epilogue.relu}});
}

// A padding of p becomes one of 2 - p: what the forward pass left out at the border comes back.
template <class T>
void winograd_input_gradient(const ConvShape& s, T* dx, const T* dy, const T* w) {
  const HeightWidth padding(2 - s.conv.padding.height, 2 - s.conv.padding.width);
  run<T>({.N = s.N,
          .from = grid_over(s.P, s.Q, s.K, s.H, s.W, padding),
          .to = grid_over(s.H, s.W, s.C, s.H, s.W, 0),
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
