// The gradient of the filters: at each point D (K, C) = Zᵀ · V, summed over every tile of the batch,
// and only then a transform back. What must not happen is that D, 36 · K · C elements, is read and
// written more often than its sums are worth.
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/parallel.h"
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

  Index tiles() const { return N * gradients.rows * gradients.columns; }
};

// For few channels: every thread sums over its own tiles in a D of its own.
template <class T>
void by_tiles(const GradientPass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index tiles = pass.tiles(), tile_count = std::min(tiles, Index{32});
  const Block<T> v(tile_count, pass.C, line<T>), z(tile_count, pass.K, line<T>), d(pass.K, pass.C);
  const int chunks = chunk_count(tiles, 1);
  const Index own = d.size() + v.size() + z.size(), zero_count = std::max(pass.C, pass.K);

  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(zero_count) + Scratch::bytes_of<T>(chunks * own));
  T* const zeros = scratch.take<T>(zero_count);
  std::fill_n(zeros, zero_count, T(0));
  T* const blocks = scratch.take<T>(chunks * own);

  run_chunks(chunks, [&](int chunk) {
    const AtPoints<T> sums = d.at(blocks + chunk * own), inputs = v.at(sums.data + d.size()),
                      gradients = z.at(inputs.data + v.size());
    const Chunk mine = chunk_at(tiles, chunks, chunk);
    for_blocks(mine.begin, mine.end, tile_count, 1, [&](Index first, Index count) {
      loop.input_tiles(pass.inputs, first, count, inputs, pass.x, zeros);
      loop.gradient_tiles(pass.gradients, first, count, gradients, pass.dy, zeros);
      loop.filter_products(count, pass.K, pass.C, sums, gradients, inputs, first != mine.begin);
    });
  });
  parallel_for(pass.K, 4, [&](Index begin, Index end) {
    loop.filter_gradient(end - begin, pass.C, d.at(blocks + begin * d.row_step), chunks, own,
                         pass.dw + begin * 9 * pass.C, pass.C, false);
  });
}

// For many channels: V and Z are made for many tiles at once; then each thread takes pieces of D so
// small that they stay in its own cache, and finishes them.
template <class T>
void by_filters(const GradientPass<T>& pass) {
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const Index most_tiles = std::min(pass.tiles(), Index{256});
  const Index piece_K = std::min(pass.K, Index{64}), piece_C = std::min(pass.C, Index{64});
  const Index pieces_K = divide_up(pass.K, piece_K), pieces_C = divide_up(pass.C, piece_C);
  const Block<T> v(most_tiles, pass.C, line<T>), z(most_tiles, pass.K, line<T>),
      d(piece_K, piece_C);
  const int chunks = chunk_count(pieces_K * pieces_C, 1);
  const Index zero_count = std::max(pass.C, pass.K);

  Scratch& scratch = Scratch::of_thread();
  scratch.reserve(Scratch::bytes_of<T>(zero_count) + Scratch::bytes_of<T>(v.size()) +
                  Scratch::bytes_of<T>(z.size()) + Scratch::bytes_of<T>(chunks * d.size()));
  T* const zeros = scratch.take<T>(zero_count);
  std::fill_n(zeros, zero_count, T(0));
  T* const inputs = scratch.take<T>(v.size());
  T* const gradients = scratch.take<T>(z.size());
  T* const blocks = scratch.take<T>(chunks * d.size());

  for_blocks(0, pass.tiles(), most_tiles, 1, [&](Index from, Index count) {
    parallel_for(count, 4, [&](Index begin, Index end) {
      loop.input_tiles(pass.inputs, from + begin, end - begin, v.at(inputs + begin * v.row_step),
                       pass.x, zeros);
      loop.gradient_tiles(pass.gradients, from + begin, end - begin,
                          z.at(gradients + begin * z.row_step), pass.dy, zeros);
    });
    run_chunks(chunks, [&](int chunk) {
      const AtPoints<T> sums = d.at(blocks + chunk * d.size());
      const Chunk mine = chunk_at(pieces_K * pieces_C, chunks, chunk);
      for (Index piece = mine.begin; piece < mine.end; ++piece) {
        const Index k = piece / pieces_C * piece_K, c = piece % pieces_C * piece_C;
        const Index K = std::min(piece_K, pass.K - k), C = std::min(piece_C, pass.C - c);
        loop.filter_products(count, K, C, sums, z.at(gradients + k), v.at(inputs + c), false);
        loop.filter_gradient(K, C, sums, 1, 0, pass.dw + k * 9 * pass.C + c, pass.C, from != 0);
      }
    });
  });
}

}  // namespace

template <class T>
void winograd_weight_gradient(const ConvShape& s, T* dw, const T* dy, const T* x) {
  const GradientPass<T> pass = {.N = s.N,
                                .K = s.K,
                                .C = s.C,
                                .inputs = grid_over(s.H, s.W, s.C, s.P, s.Q, s.conv.padding),
                                .gradients = grid_over(s.P, s.Q, s.K, s.P, s.Q, 0),
                                .x = x,
                                .dy = dy,
                                .dw = dw};
  if (s.K == 0 || s.C == 0) return;
  if (pass.tiles() == 0)
    std::fill_n(dw, s.K * 9 * s.C, T(0));
  else if (points * s.K * s.C * static_cast<Index>(sizeof(T)) <= 1024 * 1024)
    by_tiles(pass);
  else
    by_filters(pass);
}

template void winograd_weight_gradient(const ConvShape&, float*, const float*, const float*);
template void winograd_weight_gradient(const ConvShape&, double*, const double*, const double*);

}  // namespace understudy::cpu
