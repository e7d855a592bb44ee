// Filling, copying and converting arrays of any strides. Rows and images by index are in gather.cu.
#include "kernels/convert.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/map.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

struct Fill {
  template <class T>
  UNDERSTUDY_HD static T apply(T value) {
    return value;
  }
};
template <class To>
struct Converted {
  template <class From>
  UNDERSTUDY_HD static To apply(int, From x) {
    return converted<To>(x);
  }
};

// Dense bytes are moved as words, where they are whole words.
template <int N>
bool are_words(const Walk<N>& walk) {
  bool dense = walk.rank == 1 && walk.count % 4 == 0;
  for (int i = 0; i < N; ++i) dense = dense && walk.inner_stride(i) == 1;
  return dense;
}
bool is_word_aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 4 == 0; }
template <int N>
Walk<N> by_words(Walk<N> walk) {
  walk.count = walk.shape[0] /= 4;
  return walk;
}

template <class T>
void fill_with(const Stream& stream, const Walk<1>& walk, void* out, T value) {
  map(stream, map_kernels<Fill, T, T>, walk, value, static_cast<T*>(out));
}

// Elements of one size are moved as integers of that size, so that every NaN keeps its bits.
template <class T>
void copy_same(const Stream& stream, const Walk<2>& walk, void* out, const void* in) {
  map(stream, map_kernels<Converted<T>, int, T, T>, walk, 0, static_cast<T*>(out),
      static_cast<const T*>(in));
}

// ---- transposed copies ----

// A copy whose arrays are dense along different axes goes by squares through shared memory, so that
// both sides are read and written along their dense axis, 32 neighbours at a time.
constexpr int square = 32, square_rows = 8;

struct Squares {
  std::uint32_t rows, columns;         // of one matrix
  Divider squares_across, per_matrix;  // squares
  std::int64_t out_step, in_step;      // between rows of out, and between columns of in
  Places<2> matrices;                  // where each begins
};

// out[r · out_step + c] = in[r + c · in_step]; a block for each square.
template <class T>
__global__ void __launch_bounds__(square* square_rows)
    transpose_kernel(Squares at, T* out, const T* in) {
  // One column more than are used, so that the 32 of a column lie in 32 banks.
  __shared__ T held[square][square + 1];
  const std::uint32_t matrix = at.per_matrix.quotient(blockIdx.x);
  const std::uint32_t in_matrix = blockIdx.x - matrix * at.per_matrix.divisor;
  const std::uint32_t down = at.squares_across.quotient(in_matrix);
  const std::uint32_t across = in_matrix - down * at.squares_across.divisor;
  std::int64_t begin[2] = {};
  at.matrices.find(matrix, begin);
  const std::uint32_t x = threadIdx.x % square, y = threadIdx.x / square;
  const std::uint32_t first_row = down * square, first_column = across * square;
  for (std::uint32_t i = y; i < square; i += square_rows)
    if (first_row + x < at.rows && first_column + i < at.columns)
      held[i][x] = in[begin[1] + first_row + x + (first_column + i) * at.in_step];
  __syncthreads();
  for (std::uint32_t i = y; i < square; i += square_rows)
    if (first_row + i < at.rows && first_column + x < at.columns)
      out[begin[0] + (first_row + i) * at.out_step + first_column + x] = held[x][i];
}

// The axis along which array 1 is dense, where array 0 is along the last one and both are long enough
// to fill most of a square; -1 for none.
int transposed_axis(const Walk<2>& walk) {
  if (walk.inner_stride(0) != 1 || walk.inner_stride(1) == 1 || walk.inner() < square / 2)
    return -1;
  for (int axis = 0; axis < walk.rank - 1; ++axis)
    if (walk.strides[1][axis] == 1 && walk.shape[axis] >= square / 2) return axis;
  return -1;
}

template <class T>
void transpose(const Stream& stream, const Walk<2>& walk, int axis, T* out, const T* in) {
  const int last = walk.rank - 1;
  const std::int64_t rows = walk.shape[axis], columns = walk.shape[last];
  const std::int64_t down = (rows + square - 1) / square, across = (columns + square - 1) / square;
  Walk<2> matrices = walk;
  matrices.count = walk.count / (rows * columns);
  matrices.shape[axis] = matrices.shape[last] = 1;
  Squares at = {.rows = static_cast<std::uint32_t>(rows),
                .columns = static_cast<std::uint32_t>(columns),
                .squares_across = Divider::of(across),
                .per_matrix = Divider::of(down * across),
                .out_step = walk.strides[0][axis],
                .in_step = walk.strides[1][last],
                .matrices = make_places(matrices, 1)};
  const Grid grid{dim3(static_cast<unsigned>(matrices.count * down * across)),
                  dim3(square * square_rows)};
  launch(stream, grid, transpose_kernel<T>, at, out, in);
}

template <class T>
void copy_any(const Stream& stream, const Walk<2>& whole, void* to, const void* from) {
  if (transposed_axis(whole) < 0) return copy_same<T>(stream, whole, to, from);
  for_pieces(whole, most_mapped, [&](const Walk<2>& walk, const std::int64_t(&start)[2]) {
    T* const out = static_cast<T*>(to) + start[0];
    const T* const in = static_cast<const T*>(from) + start[1];
    const int axis = transposed_axis(walk);
    if (axis >= 0)
      transpose(stream, walk, axis, out, in);
    else
      copy_same<T>(stream, walk, out, in);
  });
}

}  // namespace

void CudaBackend::fill(const View& out, double value) {
  const auto walk = make_walk<1>(out.shape, {&out.strides});
  with_any(out.dtype, [&]<class T>(Type<T>) {
    const T same = static_cast<T>(value);
    if constexpr (sizeof(T) == 1) {
      if (are_words(walk) && is_word_aligned(out.data))
        return fill_with<std::uint32_t>(stream_, by_words(walk), out.data, same * 0x01010101u);
    }
    fill_with<T>(stream_, walk, out.data, same);
  });
}

void CudaBackend::copy(const View& out, const ConstView& in) {
  const auto walk = make_walk<2>(out.shape, {&out.strides, &in.strides});
  if (out.dtype == in.dtype) {
    switch (size_of(out.dtype)) {
      case 1:
        if (are_words(walk) && is_word_aligned(out.data) && is_word_aligned(in.data))
          return copy_same<std::uint32_t>(stream_, by_words(walk), out.data, in.data);
        return copy_any<std::uint8_t>(stream_, walk, out.data, in.data);
      case 4:
        return copy_any<std::uint32_t>(stream_, walk, out.data, in.data);
      default:
        return copy_any<std::uint64_t>(stream_, walk, out.data, in.data);
    }
  }
  with_any(out.dtype, [&]<class To>(Type<To>) {
    with_any(in.dtype, [&]<class From>(Type<From>) {
      map(stream_, map_kernels<Converted<To>, int, To, From>, walk, 0, out.as<To>(), in.as<From>());
    });
  });
}

}  // namespace understudy::cuda
