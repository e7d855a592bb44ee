// Rows and images by index.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/quad.h"
#include "kernels/dispatch.h"
#include "kernels/pixels.h"

namespace understudy::cuda {
namespace {

using Index = std::int64_t;

// Counts that a division by 32-bit numbers can serve; 64-bit ones cost several times as much.
constexpr Index most_32_bit = (Index{1} << 31) - 1;

// ---- rows ----

// Rows of `words` words each, one thread for a word.
template <class Word, class Number>
__global__ void gather_rows_kernel(Index count, Number words, Word* out, const Word* in,
                                   const Index* index) {
  for_each_step(count, [&](Index step) {
    const Number row = static_cast<Number>(step) / words;
    const Number at = static_cast<Number>(step) - row * words;
    out[step] = in[index[row] * static_cast<Index>(words) + at];
  });
}

template <class Word>
void gather_words(const Stream& stream, Index rows, Index row_bytes, void* out, const void* in,
                  const Index* index) {
  const Index words = row_bytes / static_cast<Index>(sizeof(Word)), count = rows * words;
  Word* const to = static_cast<Word*>(out);
  const Word* const from = static_cast<const Word*>(in);
  if (count <= most_32_bit)
    launch(stream, grid_for(count), gather_rows_kernel<Word, std::uint32_t>, count, words, to, from,
           index);
  else
    launch(stream, grid_for(count), gather_rows_kernel<Word, Index>, count, words, to, from, index);
}

// A block for each row of `rows` and each run of columns. Of the rows that go to one place the first
// one's block adds them all, in their order, in registers; the others' blocks end when they see that.
// So an index is read `count` times: for many rows, the square of their number is what counts.
constexpr int scatter_columns = 4;  // of a thread

template <class T>
__global__ void __launch_bounds__(block_threads)
    scatter_add_rows_kernel(Index count, Index columns, Index runs, T* out, const T* rows,
                            const Index* index) {
  __shared__ int matches_of_warp[block_threads / warp_size];
  __shared__ Index match[block_threads];
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % warp_size, warp = thread / warp_size;
  const Index mine = blockIdx.x / runs;
  const Index first = (blockIdx.x - mine * runs) * (block_threads * scatter_columns) + thread;
  const Index place = index[mine];
  T* const to = out + place * columns;
  T sum[scatter_columns];
  for (int k = 0; k < scatter_columns; ++k) {
    const Index c = first + k * block_threads;
    sum[k] = c < columns ? to[c] : T(0);
  }
  for (Index base = 0; base < count; base += block_threads) {
    // The rows base ... that go to this place, as a list in their order.
    const bool matches = base + thread < count && index[base + thread] == place;
    int before = matches ? 1 : 0;
    for (int step = 1; step < warp_size; step *= 2) {
      const int other = __shfl_up_sync(0xffffffffu, before, step);
      before += lane >= step ? other : 0;
    }
    if (lane == warp_size - 1) matches_of_warp[warp] = before;
    __syncthreads();
    int total = 0;
    for (int w = 0; w < block_threads / warp_size; ++w) {
      if (w == warp) before += total;
      total += matches_of_warp[w];
    }
    if (matches) match[before - 1] = base + thread;
    __syncthreads();
    // The same in all threads. What was read here is written again behind the next round's barriers.
    if (total > 0 && match[0] < mine) return;
    for (int m = 0; m < total; ++m) {
      const T* const from = rows + match[m] * columns;
      for (int k = 0; k < scatter_columns; ++k) {
        const Index c = first + k * block_threads;
        if (c < columns) sum[k] += from[c];
      }
    }
  }
  for (int k = 0; k < scatter_columns; ++k) {
    const Index c = first + k * block_threads;
    if (c < columns) to[c] = sum[k];
  }
}

// ---- images ----

// H, W, C of an image, and of how many steps it is made; each 32-bit.
struct ImageShape {
  std::uint32_t H, W, C, steps;
};

// The byte that pixel (y, x) of an image shows in channel c, as placed by (dy, dx, flip).
__device__ inline std::uint8_t placed_byte(const std::uint8_t* image, const ImageShape& shape,
                                           int y, int x, int c, const std::int32_t* placed) {
  const int H = static_cast<int>(shape.H), W = static_cast<int>(shape.W);
  const Index row = Index{y} + placed[0],
              column = Index{placed[2] != 0 ? W - 1 - x : x} + placed[1];
  if (row < 0 || row >= H || column < 0 || column >= W) return 0;
  return image[(row * W + column) * shape.C + c];
}

// One thread for `width` (1 or 4) neighbours. 5 bytes of traffic for each float32: bound by memory,
// and for the few megabytes of a batch by the launch.
template <class T, int width>
__global__ void gather_images_kernel(Index count, ImageShape shape, T* out, const std::uint8_t* in,
                                     const Index* index, const std::int32_t* placement,
                                     PixelConstants<T> k) {
  for_each_step(count, [&](Index step) {
    const Index i = count <= most_32_bit
                        ? static_cast<Index>(static_cast<std::uint32_t>(step) / shape.steps)
                        : step / shape.steps;
    const std::uint32_t first = static_cast<std::uint32_t>(step - i * shape.steps) * width;
    const std::uint8_t* const image = in + index[i] * (static_cast<Index>(shape.steps) * width);
    const std::uint32_t pixel = first / shape.C;
    int c = static_cast<int>(first - pixel * shape.C);
    int y = static_cast<int>(pixel / shape.W);
    int x = static_cast<int>(pixel - static_cast<std::uint32_t>(y) * shape.W);
    T values[width];
    for (int j = 0; j < width; ++j) {
      const std::uint8_t byte = placement == nullptr
                                    ? image[first + j]
                                    : placed_byte(image, shape, y, x, c, placement + 3 * i);
      values[j] = normalized(byte, k.scale[c], k.shift[c]);
      if (++c < static_cast<int>(shape.C)) continue;
      c = 0;
      if (++x < static_cast<int>(shape.W)) continue;
      x = 0;
      ++y;
    }
    if constexpr (width == quad_size) {
      Quad<T> quad;
      for (int j = 0; j < width; ++j) quad.v[j] = values[j];
      *reinterpret_cast<Quad<T>*>(out + step * width) = quad;
    } else {
      out[step] = values[0];
    }
  });
}

}  // namespace

void CudaBackend::gather_rows(const View& out, const ConstView& in, const ConstView& index) {
  const Index rows = index.shape.count();
  if (rows == 0 || out.shape.count() == 0) return;
  const Index bytes = out.shape.count() / rows * static_cast<Index>(size_of(out.dtype));
  const auto fits = [&](Index word) {
    const auto address =
        reinterpret_cast<std::uintptr_t>(out.data) | reinterpret_cast<std::uintptr_t>(in.data);
    return bytes % word == 0 && address % static_cast<std::uintptr_t>(word) == 0;
  };
  const Index* const row = index.as<Index>();
  if (fits(16))
    gather_words<Quad<std::uint32_t>>(stream_, rows, bytes, out.data, in.data, row);
  else if (fits(8))
    gather_words<std::uint64_t>(stream_, rows, bytes, out.data, in.data, row);
  else if (fits(4))
    gather_words<std::uint32_t>(stream_, rows, bytes, out.data, in.data, row);
  else
    gather_words<std::uint8_t>(stream_, rows, bytes, out.data, in.data, row);
}

void CudaBackend::scatter_add_rows(const View& out, const ConstView& rows, const ConstView& index) {
  const Index count = index.shape.count();
  if (count == 0 || rows.shape.count() == 0) return;
  const Index columns = rows.shape.count() / count;
  constexpr Index in_run = block_threads * scatter_columns;
  const Index runs = (columns + in_run - 1) / in_run;
  check(count * runs <= most_32_bit, "[scatter_add_rows] {} rows of {} are too many", count,
        columns);
  with_float(out.dtype, [&]<class T>(Type<T>) {
    launch(stream_, Grid{dim3(static_cast<unsigned>(count * runs)), dim3(block_threads)},
           scatter_add_rows_kernel<T>, count, columns, runs, out.as<T>(), rows.as<T>(),
           index.as<Index>());
  });
}

void CudaBackend::gather_images(const View& out, const ConstView& in, const ConstView& index,
                                const ConstView* placement, std::span<const float> mean,
                                std::span<const float> std) {
  const Index count = index.shape.count(), elements = in.shape[1] * in.shape[2] * in.shape[3];
  check(in.shape[3] <= most_image_channels, "[gather_images] {}: images have at most {} channels",
        to_string(in.shape), most_image_channels);
  check(elements <= most_32_bit, "[gather_images] {}: an image has at most {} numbers",
        to_string(in.shape), most_32_bit);
  if (count == 0 || elements == 0) return;
  const std::int32_t* const placed = placement ? placement->as<std::int32_t>() : nullptr;
  with_float(out.dtype, [&]<class T>(Type<T>) {
    const auto k = pixel_constants<T>(in.shape[3], mean.data(), std.data());
    const bool quads = takes_quads(out.as<T>(), elements);
    const Index steps = quads ? elements / quad_size : elements;
    const ImageShape shape{
        static_cast<std::uint32_t>(in.shape[1]), static_cast<std::uint32_t>(in.shape[2]),
        static_cast<std::uint32_t>(in.shape[3]), static_cast<std::uint32_t>(steps)};
    launch(stream_, grid_for(count * steps),
           quads ? gather_images_kernel<T, quad_size> : gather_images_kernel<T, 1>, count * steps,
           shape, out.as<T>(), in.as<std::uint8_t>(), index.as<Index>(), placed, k);
  });
}

}  // namespace understudy::cuda
