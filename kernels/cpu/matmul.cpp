#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

// Multiply-adds for each thread: some 3 µs of work.
constexpr std::int64_t grain = 1 << 18;

// A matrix as BLAS sees it: rows of `ld` elements, or the transpose of that.
template <class T>
struct Operand {
  const T* data;
  blas::Transpose form;
  std::int64_t ld;

  // The matrix from row r, or from column c, on.
  Operand from_row(std::int64_t r) const {
    return {data + (form == blas::plain ? r * ld : r), form, ld};
  }
  Operand from_column(std::int64_t c) const {
    return {data + (form == blas::plain ? c : c * ld), form, ld};
  }
  // Steps between neighbours in a row, or in a column.
  int row_step() const { return form == blas::plain ? 1 : static_cast<int>(ld); }
  int column_step() const { return form == blas::plain ? static_cast<int>(ld) : 1; }
};

// A view that has neither stride 1 (or that repeats elements) is copied into `storage` first.
template <class T>
Operand<T> as_operand(const ConstView& v, std::vector<T>& storage) {
  const std::int64_t R = v.shape[0], C = v.shape[1], s0 = v.strides[0], s1 = v.strides[1];
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  if ((s1 == 1 || C == 1) && (R == 1 || (s0 >= C && s0 <= most)))
    return {v.as<T>(), blas::plain, R == 1 ? C : s0};
  if ((s0 == 1 || R == 1) && (C == 1 || (s1 >= R && s1 <= most)))
    return {v.as<T>(), blas::transposed, C == 1 ? R : s1};
  storage.resize(static_cast<std::size_t>(R * C));
  const T* const in = v.as<T>();
  for (std::int64_t r = 0; r < R; ++r)
    for (std::int64_t c = 0; c < C; ++c)
      storage[static_cast<std::size_t>(r * C + c)] = in[r * s0 + c * s1];
  return {storage.data(), blas::plain, C};
}

// How the result is cut into blocks, one for each thread. Every block reads its own rows of `a` and
// its own columns of `b`; the cut with the least to read wins.
struct Grid {
  int down = 1, across = 1;
};

constexpr std::int64_t unit = 8;  // blocks begin at multiples of it

Grid choose_grid(std::int64_t M, std::int64_t N, std::int64_t K) {
  const std::int64_t down_most = (M + unit - 1) / unit, across_most = (N + unit - 1) / unit;
  for (int threads = chunk_count(M * N * K, grain); threads > 1; --threads) {
    Grid best;
    double least = std::numeric_limits<double>::infinity();
    for (int down = 1; down <= threads; ++down) {
      const int across = threads / down;
      if (down * across != threads || down > down_most || across > across_most) continue;
      const double reads = static_cast<double>(M) / down + static_cast<double>(N) / across;
      if (reads < least) {
        least = reads;
        best = {down, across};
      }
    }
    if (best.down * best.across == threads) return best;
  }
  return {};
}

Chunk block_at(std::int64_t size, int blocks, int i) {
  const Chunk chunk = chunk_at((size + unit - 1) / unit, blocks, i);
  return {chunk.begin * unit, std::min(size, chunk.end * unit)};
}

struct Sizes {
  std::int64_t M, N, K;
};

// One block of the product, rows x columns of it, on the calling thread.
template <class T>
void multiply_block(const Sizes& s, Chunk rows, Chunk columns, const Operand<T>& whole_a,
                    const Operand<T>& whole_b, bool accumulate, T* out) {
  const int m = static_cast<int>(rows.end - rows.begin);
  const int n = static_cast<int>(columns.end - columns.begin);
  const int k = static_cast<int>(s.K);
  const Operand<T> a = whole_a.from_row(rows.begin), b = whole_b.from_column(columns.begin);
  const int lda = static_cast<int>(a.ld), ldb = static_cast<int>(b.ld);
  if (s.K == 0 || s.M == 1 || s.N == 1) {
    // Dense, for M or N is 1. Cleared here, so that BLAS need not read what it held.
    if (!accumulate)
      for (std::int64_t r = 0; r < m; ++r) std::fill_n(out + r * s.N, n, T(0));
    if (s.K == 0) return;
    if (s.M == 1) {
      if (b.form == blas::plain)
        blas::gemv(blas::transposed, k, n, b.data, ldb, a.data, a.row_step(), 1, out);
      else
        blas::gemv(blas::plain, n, k, b.data, ldb, a.data, a.row_step(), 1, out);
    } else {
      if (a.form == blas::plain)
        blas::gemv(blas::plain, m, k, a.data, lda, b.data, b.column_step(), 1, out);
      else
        blas::gemv(blas::transposed, k, m, a.data, lda, b.data, b.column_step(), 1, out);
    }
    return;
  }
  blas::gemm(a.form, b.form, m, n, k, a.data, lda, b.data, ldb, accumulate ? 1 : 0, out,
             static_cast<int>(s.N));
}

}  // namespace

void CpuBackend::matmul(const View& out, const ConstView& a, const ConstView& b,
                        const Epilogue& epilogue) {
  const Sizes s{a.shape[0], b.shape[1], a.shape[1]};
  if (s.M == 0 || s.N == 0) return;
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  check(s.M <= most && s.N <= most && s.K <= most,
        "[matmul] {} x {}: sizes above {} are not supported", to_string(a.shape),
        to_string(b.shape), most);
  blas::use_one_thread();
  with_float(out.dtype, [&]<class T>(Type<T>) {
    std::vector<T> a_storage, b_storage;
    const Operand<T> left = as_operand(a, a_storage), right = as_operand(b, b_storage);
    const T* const bias = epilogue.bias ? epilogue.bias->as<T>() : nullptr;
    const Grid grid = choose_grid(s.M, s.N, s.K);
    run_chunks(grid.down * grid.across, [&](int i) {
      const Chunk rows = block_at(s.M, grid.down, i / grid.across);
      const Chunk columns = block_at(s.N, grid.across, i % grid.across);
      T* const block = out.as<T>() + rows.begin * s.N + columns.begin;
      multiply_block(s, rows, columns, left, right, epilogue.accumulate, block);
      if (bias != nullptr || epilogue.relu)
        loops<T>().pointwise->bias_relu(rows.end - rows.begin, columns.end - columns.begin, block,
                                        s.N, bias == nullptr ? nullptr : bias + columns.begin,
                                        epilogue.relu);
    });
  });
}

}  // namespace understudy::cpu
