// Sums of squares of the filters' gradients, one image at a time: at each point D (K, C) = Zᵀ · V
// over the tiles of one image, and its transform is squared and added. A piece of D stays in the
// second cache from the product to the transform; so do the sums that it is added to.
#include <algorithm>

#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/winograd_blocks.h"

namespace understudy::cpu {

using namespace winograd;

template <class T>
void winograd_squared_gradients(const ConvShape& s, T* sums, std::span<const ConstView> dy,
                                const T* x) {
  constexpr Index most_transformed = 8 << 20;  // bytes of images and gradients at the points
  const WinogradLoops<T>& loop = *loops<T>().winograd;
  const TileGrid inputs = grid_over(s.H, s.W, s.C, s.P, s.Q, s.conv.padding, s.conv.dilation);
  const TileGrid gradients = grid_over(s.P, s.Q, s.K, s.P, s.Q, 0, s.conv.dilation);
  const Index tiles = tiles_of(gradients), D = static_cast<Index>(dy.size());
  std::fill_n(sums, s.K * 9 * s.C, T(0));
  if (s.N * s.K * s.C == 0) return;

  // 32 × 64 at 36 points are 300 KB of floats; less where there would be too few for the threads.
  Index piece_K = std::min(s.K, round_up(Index{32}, loop.tile_rows));
  const Index piece_C = std::min(s.C, Index{64}), pieces_C = divide_up(s.C, piece_C);
  const auto pieces = [&] { return divide_up(s.K, piece_K) * pieces_C; };
  while (pieces() % num_threads() != 0 && pieces() < 4 * num_threads() && piece_K > loop.tile_rows)
    piece_K = round_up(piece_K / 2, loop.tile_rows);
  const Index pieces_K = divide_up(s.K, piece_K);
  const Block<T> v(tiles, piece_C, line<T>), z(tiles, piece_K, line<T>), d(piece_K, piece_C);
  const Index image_size = pieces_C * v.size(), gradient_size = pieces_K * z.size();
  const Index sample_size = image_size + D * gradient_size;
  const Index samples =
      std::clamp<Index>(most_transformed / (sample_size * static_cast<Index>(sizeof(T))), 1, s.N);
  const int chunks = chunk_count(pieces_K * pieces_C, 1);
  const Index channels = std::max(piece_C, piece_K);

  Pieces<T> memory(channels, samples * sample_size, chunks * d.size());
  const T* const zeros = memory.take_zeros(channels);
  T* const transformed = memory.take(samples * sample_size);
  T* const products = memory.take(chunks * d.size());

  for (Index first = 0; first < s.N; first += samples) {
    const Index count = std::min(samples, s.N - first);
    const auto image_at = [&](Index n, Index j) {
      return v.at(transformed + n * sample_size + j * v.size());
    };
    const auto gradient_at = [&](Index n, Index g, Index i) {
      return z.at(transformed + n * sample_size + image_size + g * gradient_size + i * z.size());
    };
    parallel_for(count, 1, [&](Index begin, Index end) {
      for (Index n = begin; n < end; ++n) {
        const Index tile = (first + n) * tiles;
        for (Index j = 0; j < pieces_C; ++j)
          loop.input_tiles(inputs, tile, tiles, j * piece_C, std::min(piece_C, s.C - j * piece_C),
                           image_at(n, j), x, zeros);
        for (Index g = 0; g < D; ++g)
          for (Index i = 0; i < pieces_K; ++i)
            loop.gradient_tiles(gradients, tile, tiles, i * piece_K,
                                std::min(piece_K, s.K - i * piece_K), gradient_at(n, g, i),
                                dy[static_cast<std::size_t>(g)].template as<T>(), zeros);
      }
    });
    run_chunks(chunks, [&](int chunk) {
      const AtPoints<T> product = d.at(products + chunk * d.size());
      const Chunk mine = chunk_at(pieces_K * pieces_C, chunks, chunk);
      for (Index p = mine.begin; p < mine.end; ++p) {
        const Index i = p / pieces_C, j = p % pieces_C;
        const Index K = std::min(piece_K, s.K - i * piece_K);
        const Index C = std::min(piece_C, s.C - j * piece_C);
        T* const own_sums = sums + i * piece_K * 9 * s.C + j * piece_C;
        for (Index n = 0; n < count; ++n)
          for (Index g = 0; g < D; ++g) {
            loop.filter_products(points, tiles, K, C, product, gradient_at(n, g, i), image_at(n, j),
                                 false, {});
            loop.filter_gradient(0, 6, K, C, product, 1, 0, own_sums, s.C, Accumulate::add_square);
          }
      }
    });
  }
}

template void winograd_squared_gradients(const ConvShape&, float*, std::span<const ConstView>,
                                         const float*);
template void winograd_squared_gradients(const ConvShape&, double*, std::span<const ConstView>,
                                         const double*);

}  // namespace understudy::cpu
