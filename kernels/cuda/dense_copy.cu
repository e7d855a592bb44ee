#include "kernels/cuda/dense_copy.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/quad.h"

namespace understudy::cuda {
namespace {

// One thread for a quad of a row (or one element). Bound by memory where the rows are read along
// their stride of 1; views with other strides are rare, and small.
template <class To, class From, bool quads>
__global__ void copy_kernel(To* to, std::int64_t ld, Matrix<From> from) {
  constexpr int width = quads ? quad_size : 1;
  const std::int64_t in_row = (from.columns + width - 1) / width;
  for_each_step(from.rows * in_row, [&](std::int64_t step) {
    const std::int64_t r = step / in_row, c = (step - r * in_row) * width;
    const From* const in = from.data + r * from.row_stride + c * from.column_stride;
    To* const out = to + r * ld + c;
    if (quads && c + width <= from.columns) {
      const Quad<From> values = *reinterpret_cast<const Quad<From>*>(in);
      Quad<To> converted;
      for (int i = 0; i < quad_size; ++i) converted.v[i] = Convert<To, From>::from(values.v[i]);
      *reinterpret_cast<Quad<To>*>(out) = converted;
    } else {
      for (int i = 0; i < width && c + i < from.columns; ++i)
        out[i] = Convert<To, From>::from(in[i * from.column_stride]);
    }
  });
}

}  // namespace

template <class To, class From>
void copy_dense(const Stream& stream, To* to, std::int64_t ld, const Matrix<From>& from) {
  if (from.rows * from.columns == 0) return;
  // One row has no next one that would have to be aligned.
  const bool one = from.rows == 1;
  if (from.column_stride == 1 && takes_quads(from.data, one ? 0 : from.row_stride) &&
      takes_quads(to, one ? 0 : ld)) {
    const std::int64_t quads = from.rows * ((from.columns + quad_size - 1) / quad_size);
    launch(stream, grid_for(quads), copy_kernel<To, From, true>, to, ld, from);
  } else {
    launch(stream, grid_for(from.rows * from.columns), copy_kernel<To, From, false>, to, ld, from);
  }
}

template void copy_dense(const Stream&, float*, std::int64_t, const Matrix<float>&);
template void copy_dense(const Stream&, double*, std::int64_t, const Matrix<double>&);
template void copy_dense(const Stream&, Bf16*, std::int64_t, const Matrix<float>&);
template void copy_dense(const Stream&, float*, std::int64_t, const Matrix<Bf16>&);

}  // namespace understudy::cuda
