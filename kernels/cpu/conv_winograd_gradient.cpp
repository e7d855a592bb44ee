// The gradient of the filters: at each point D (K, C) = Zᵀ · V, summed over every tile of the
// batch, and only then a transform back. What must not happen is that D, 36 · K · C elements, is
// read and written more often than its sums are worth.
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/winograd_blocks.h"

namespace understudy::cpu {
namespace {

using namespace winograd;

template <class T>
struct GradientPass {
  Index N, K, C;
  TileGrid inputs, gradients;
  const T *x, *dy;
  T* dw;

  Index tiles() const { return N * tiles_of(gradients); }
};

// For many tiles and few channels: every thread sums over its own tiles, some at a time, in a D of
// its own, and while it multiplies fetches the pixels of the next.
template <class T>
void by_tiles(const GradientPass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index tiles = pass.tiles(), tile_count = std::min(tiles, Index{32});
  const Block<T> v(tile_count, pass.C, line<T>), z(tile_count, pass.K, line<T>), d(pass.K, pass.C);
  const int chunks = chunk_count(tiles, 8);
  const Index own = d.size() + v.size() + z.size(), channels = std::max(pass.C, pass.K);

  Pieces<T> memory(channels, chunks * own);
  const T* const zeros = memory.take_zeros(channels);
  T* const blocks = memory.take(chunks * own);

  run_chunks(chunks, [&](int chunk) {
    const AtPoints<T> sums = d.at(blocks + chunk * own), inputs = v.at(sums.data + d.size()),
                      gradients = z.at(inputs.data + v.size());
    const Chunk mine = chunk_at(tiles, chunks, chunk);
    for_blocks(mine.begin, mine.end, tile_count, 1, [&](Index first, Index count) {
      const Chunk next = {first + count, std::min(first + 2 * count, mine.end)};
      loop.input_tiles(pass.inputs, first, count, 0, pass.C, inputs, pass.x, zeros);
      loop.gradient_tiles(pass.gradients, first, count, 0, pass.K, gradients, pass.dy, zeros);
      loop.filter_products(points, count, pass.K, pass.C, sums, gradients, inputs,
                           first != mine.begin,
                           {tiles_soon(pass.x, pass.N, pass.inputs, next),
                            tiles_soon(pass.dy, pass.N, pass.gradients, next),
                            {}});
    });
  });
  parallel_for(pass.K, 4, [&](Index begin, Index end) {
    loop.filter_gradient(0, 6, end - begin, pass.C, d.at(blocks + begin * d.row_step), chunks, own,
                         pass.dw + begin * 9 * pass.C, pass.C, Accumulate::replace);
  });
}

// How the gradient is cut into pieces (K, C), so that every thread has as many.
struct PieceSizes {
  Index K, C;

  template <class T>
  static PieceSizes of(const GradientPass<T>& pass) {
    PieceSizes piece = {std::min(pass.K, Index{64}), std::min(pass.C, Index{64})};
    const auto pieces = [&] { return divide_up(pass.K, piece.K) * divide_up(pass.C, piece.C); };
    while (pieces() % num_threads() != 0 && pieces() < 4 * num_threads() && piece.K > 32)
      piece.K = round_up(piece.K / 2, loops<T>().winograd->tile_rows);
    return piece;
  }
};

// For many channels: V and Z are made for some tiles at once, in the order in which they will be
// read; then each thread takes pieces of the gradient, and makes D of three rows of points at a
// time, which stays in its own cache (64 × 64 at 18 points are 300 KB).
template <class T>
void by_filters(const GradientPass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  constexpr int rows = 3;
  constexpr auto bytes = static_cast<Index>(sizeof(T));
  const PieceSizes piece = PieceSizes::of(pass);
  const Index pieces_K = divide_up(pass.K, piece.K), pieces_C = divide_up(pass.C, piece.C);
  const Index most_tiles = std::min(pass.tiles(), Index{64});
  const Block<T> v(most_tiles, piece.C, line<T>), z(most_tiles, piece.K, line<T>),
      d(piece.K, piece.C);
  const int chunks = chunk_count(pieces_K * pieces_C, 1);
  const Index own = 6 * rows * d.point_step, channels = std::max(piece.C, piece.K);

  Pieces<T> memory(channels, pieces_C * v.size(), pieces_K * z.size(), chunks * own);
  const T* const zeros = memory.take_zeros(channels);
  T* const inputs = memory.take(pieces_C * v.size());
  T* const gradients = memory.take(pieces_K * z.size());
  T* const blocks = memory.take(chunks * own);

  for_blocks(0, pass.tiles(), most_tiles, 1, [&](Index from, Index count) {
    const int transformers = chunk_count(count, 4);
    run_chunks(transformers, [&](int chunk) {
      const Chunk mine = chunk_at(count, transformers, chunk);
      const Index first = from + mine.begin, n = mine.end - mine.begin;
      for (Index j = 0; j < pieces_C; ++j)
        loop.input_tiles(pass.inputs, first, n, j * piece.C,
                         std::min(piece.C, pass.C - j * piece.C),
                         v.at(inputs + j * v.size() + mine.begin * v.row_step), pass.x, zeros);
      for (Index i = 0; i < pieces_K; ++i)
        loop.gradient_tiles(
            pass.gradients, first, n, i * piece.K, std::min(piece.K, pass.K - i * piece.K),
            z.at(gradients + i * z.size() + mine.begin * z.row_step), pass.dy, zeros);
    });
    run_chunks(chunks, [&](int chunk) {
      const AtPoints<T> sums = d.at(blocks + chunk * own);
      const Chunk mine = chunk_at(pieces_K * pieces_C, chunks, chunk);
      // The tiles that this thread will transform next are fetched in between.
      const Chunk next =
          share({from + count, std::min(from + 2 * count, pass.tiles())}, chunk, chunks);
      const Index calls = (mine.end - mine.begin) * (6 / rows);
      Index call = 0;
      for (Index p = mine.begin; p < mine.end; ++p) {
        const Index i = p / pieces_C, j = p % pieces_C;
        const Index K = std::min(piece.K, pass.K - i * piece.K);
        const Index C = std::min(piece.C, pass.C - j * piece.C);
        T* const dw = pass.dw + i * piece.K * 9 * pass.C + j * piece.C;
        for (int row = 0; row < 6; row += rows) {
          const Chunk soon = share(next, call++, calls);
          loop.filter_products(
              6 * rows, count, K, C, sums, z.at(gradients + i * z.size() + 6 * row * z.point_step),
              v.at(inputs + j * v.size() + 6 * row * v.point_step), false,
              {tiles_soon(pass.x, pass.N, pass.inputs, soon),
               tiles_soon(pass.dy, pass.N, pass.gradients, soon),
               row > 0 ? PrefetchRange{} : PrefetchRange{dw, K * 9, C * bytes, pass.C * bytes}});
          loop.filter_gradient(row, row + rows, K, C, sums, 1, 0, dw, pass.C,
                               from > 0 || row > 0 ? Accumulate::add : Accumulate::replace);
        }
      }
    });
  });
}

// Whether every thread can have a D of its own, and has enough tiles to make up for it.
template <class T>
bool has_few_channels(const GradientPass<T>& pass) {
  constexpr Index megabyte = 1024 * 1024;
  const Index bytes = points * pass.K * pass.C * static_cast<Index>(sizeof(T));
  return bytes <= megabyte ||
         (bytes * num_threads() <= 8 * megabyte && pass.tiles() >= 128 * num_threads());
}

}  // namespace

template <class T>
void winograd_weight_gradient(const ConvShape& s, T* dw, const T* dy, const T* x) {
  const GradientPass<T> pass = {
      .N = s.N,
      .K = s.K,
      .C = s.C,
      .inputs = grid_over(s.H, s.W, s.C, s.P, s.Q, s.conv.padding, s.conv.dilation),
      .gradients = grid_over(s.P, s.Q, s.K, s.P, s.Q, 0, s.conv.dilation),
      .x = x,
      .dy = dy,
      .dw = dw};
  if (s.K == 0 || s.C == 0) return;
  if (pass.tiles() == 0)
    std::fill_n(dw, s.K * 9 * s.C, T(0));
  else if (has_few_channels(pass))
    by_tiles(pass);
  else
    by_filters(pass);
}

template void winograd_weight_gradient(const ConvShape&, float*, const float*, const float*);
template void winograd_weight_gradient(const ConvShape&, double*, const double*, const double*);

}  // namespace understudy::cpu
