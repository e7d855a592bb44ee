// The innermost loops of the CPU backend, as tables of function pointers: one set of tables
// for each instruction set, all compiled from the same sources (CMakeLists.txt), one chosen
// at run time (isa.h). The drivers beside this folder do shapes, strides and threads; a loop
// sees plain pointers.
//
// Loops are compiled with different flags into one program. Whatever the linker could merge between
// them (inline functions, templates with external linkage, anything of std:: that is not a
// constant) must stay out of their sources, or code for one machine would run on another.
//
// Sums run over a fixed number of lanes and formulas are never contracted, so that every
// instruction set gives the same bits. Strides count elements.
#pragma once

#include <cstdint>

#include "kernels/cpu/loops/conv_winograd.h"
#include "kernels/cpu/loops/epilogue.h"
#include "kernels/elementwise.h"
#include "kernels/philox.h"
#include "kernels/update_rules.h"

namespace understudy::cpu {

using Index = std::int64_t;

inline constexpr int unary_count = static_cast<int>(Unary::count);
inline constexpr int binary_count = static_cast<int>(Binary::count);

template <class T>
struct PointwiseLoops {
  // y = value(x, p)
  using UnaryLoop = void (*)(Index n, T* y, Index y_stride, const T* x, Index x_stride, T p);
  UnaryLoop unary[unary_count];
  // dx = dy · slope; `s` is the one saved value the slope reads, if any.
  using UnaryBackwardLoop = void (*)(Index n, T* dx, Index dx_stride, const T* dy, Index dy_stride,
                                     const T* s, Index s_stride, T p);
  UnaryBackwardLoop unary_backward[unary_count];
  // y = value(a, b)
  using BinaryLoop = void (*)(Index n, T* y, Index y_stride, const T* a, Index a_stride, const T* b,
                              Index b_stride);
  BinaryLoop binary[binary_count];
  // [side][op]: d = dy · slope. Null where the op has no derivative.
  using BinaryBackwardLoop = void (*)(Index n, T* d, Index d_stride, const T* dy, Index dy_stride,
                                      const T* a, Index a_stride, const T* b, Index b_stride);
  BinaryBackwardLoop binary_backward[2][binary_count];
  // y = c != 0 ? a : b
  void (*where)(Index n, T* y, Index y_stride, const T* c, Index c_stride, const T* a,
                Index a_stride, const T* b, Index b_stride);
  // y (rows, columns) += bias (columns; null for none), then ReLU where asked.
  void (*bias_relu)(Index rows, Index columns, T* y, Index row_stride, const T* bias, bool relu);
};

// All on dense (rows, C).
template <class T>
struct RowLoops {
  void (*softmax)(Index rows, Index C, T* y, const T* x);
  void (*softmax_backward)(Index rows, Index C, T* dx, const T* dy, const T* y);
  void (*log_softmax)(Index rows, Index C, T* y, const T* x);
  void (*log_softmax_backward)(Index rows, Index C, T* dx, const T* dy, const T* y);
  void (*cross_entropy)(Index rows, Index C, T* loss, Index loss_stride, T* probability, const T* x,
                        const Index* label, Index label_stride);
  void (*cross_entropy_backward)(Index rows, Index C, T* dx, const T* dloss, Index dloss_stride,
                                 const T* probability, const Index* label, Index label_stride);
  void (*argmax)(Index rows, Index C, Index* out, Index out_stride, const T* x);
};

template <class T>
struct ReduceLoops {
  double (*sum)(Index n, const T* x, Index stride);
  T (*max)(Index n, const T* x, Index stride);  // -inf for n = 0; NaN when any is
  // total[c] += sum over r of x[r · row_stride + c]
  void (*add_rows)(Index rows, Index columns, double* total, const T* x, Index row_stride);
  // most[c] = max(most[c], x[...]); NaN when any is
  void (*max_rows)(Index rows, Index columns, T* most, const T* x, Index row_stride);
};

template <class T>
struct OptimizerLoops {
  // momentum: null for none
  void (*sgd)(Index n, T* parameter, const T* gradient, T* momentum, const SgdConstants<T>& k);
  void (*adam)(Index n, T* parameter, const T* gradient, T* mean, T* variance,
               const AdamConstants<T>& k);
};

template <class T>
struct MoveLoops {
  // out[i] = in[i] · scale[i mod C] + shift[i mod C], for n pixels of C channels.
  void (*normalize_bytes)(Index pixels, Index C, T* out, const std::uint8_t* in, const T* scale,
                          const T* shift);
  void (*add)(Index n, T* out, const T* in);  // out += in
};

// Some pixels of a convolution's result times one panel of filters. A pixel's window is a list of
// parts, each `depth` consecutive elements.
template <class T>
struct WindowProduct {
  Index pixels;             // any number
  Index parts, depth;       // any number, also none
  const T* const* part;     // [tile][parts][tile_rows]; past the last pixel anything readable
  const T* panel;           // [parts][depth][tile_columns]
  T* y;                     // pixel i is at y + offset[i]
  const Index* offset;      // [pixels]
  Index columns;            // of this panel: 1 to tile_columns
  SumEpilogue<T> epilogue;  // the residual of pixel i is at residual + offset[i]
};
// A few filters' gradient for one part of the window:
// dw[i, j] (+)= Σ over runs, t < length of dy[t · dy_step + first_filter + i] · x[t · x_step + j].
template <class T>
struct WindowRun {
  const T *dy, *x;
  Index length;
};
template <class T>
struct WindowGradient {
  const WindowRun<T>* runs;
  Index first_filter, run_count, dy_step, x_step;
  T* dw;                           // (rows, columns), rows dw_stride apart
  Index dw_stride, rows, columns;  // rows up to tile_rows; any number of columns
  bool accumulate;
};
template <class T>
struct ConvLoops {
  Index tile_rows, tile_columns;  // pixels, and filters or channels, that are summed together
  void (*window_product)(const WindowProduct<T>& product);
  void (*window_gradient)(const WindowGradient<T>& gradient);
};

// The products behind sums of squared gradients. Rows and columns are packed: `rows` is
// [tile][row_depth][tile_rows], `columns` [depth][tile_columns], sums
// [tile · tile_rows][tile_columns]. Element i of the columns meets element order[i] of the rows.
template <class T>
struct SquareLoops {
  Index tile_rows, tile_columns;
  // to[tile][pixel][tile_rows] = dy (pixels, K), zeros past the last row.
  void (*pack_rows)(Index pixels, Index K, T* to, const T* dy);
  // The first `columns` of to[pixel][tile_columns] = x[pixel · x_step ...]; zeros for a null x.
  void (*pack_columns)(Index pixels, Index columns, T* to, const T* x, Index x_step);
  // Over pairs (i, j) of pixels, j <= i: to[pair][tile_rows] += (i == j ? 1 : 2) · row i · row j
  // of one tile, and to[pair][tile_columns] = columns i · columns j.
  void (*add_row_pairs)(Index pixels, T* to, const T* rows);
  void (*column_pairs)(Index pixels, T* to, const T* columns);
  // sums += (rows · columns)², or without the square.
  using Products = void (*)(Index tiles, Index row_depth, Index depth, T* sums, const T* rows,
                            const Index* order, const T* columns);
  Products add_squares, add_products;
};

// What batch norm knows of each channel, for `columns` columns. The last two are null where the
// statistics are constants.
template <class T>
struct ChannelConstants {
  const T *mean, *scale, *bias;  // scale = weight / √(variance + eps)
  const T *mean_dy, *slope;      // mean of dy; mean of dy · (x - mean), over variance + eps
};
// On dense rows of `columns` elements; `count` elements may end within a row. ReLU lets dy pass
// where y > 0; y null: where (x - mean) · scale + bias is, which has the bits of y.
template <class T>
struct NormLoops {
  // sum += Σ (x - pivot) and square += Σ (x - pivot)² over rows, for each column.
  void (*moments)(Index rows, Index columns, double* sum, double* square, const T* x,
                  const T* pivot);
  // y = (x - mean) · scale + bias + residual, then ReLU; residual null for none.
  void (*normalize)(Index count, Index columns, T* y, const T* x, const T* residual, bool relu,
                    const ChannelConstants<T>& k);
  // With g the dy that passes: sum += Σ g, product += Σ g · (x - mean), masked = g unless null.
  void (*gradient_sums)(Index rows, Index columns, double* sum, double* product, T* masked,
                        const T* dy, const T* x, const T* y, bool relu,
                        const ChannelConstants<T>& k);
  // dx = (g - mean_dy - (x - mean) · slope) · scale
  void (*gradient)(Index count, Index columns, T* dx, const T* dy, const T* x, const T* y,
                   bool relu, const ChannelConstants<T>& k);
};

// The part of a pooling window that lies inside its image: rows of pixels, steps in elements.
struct PoolWindow {
  Index rows, columns, row_step, column_step;
};
// x and dx: channel 0 of the window's first pixel; y and dy: of the result's pixel.
template <class T>
struct PoolLoops {
  void (*max)(const PoolWindow& window, Index C, T* y, const T* x);  // NaN when any is
  void (*average)(const PoolWindow& window, Index C, T* y, const T* x, T factor);  // sum · factor
  // dx += dy at the first pixel where x is y
  void (*max_backward)(const PoolWindow& window, Index C, T* dx, const T* dy, const T* x,
                       const T* y);
  void (*average_backward)(const PoolWindow& window, Index C, T* dx, const T* dy, T factor);
};

template <class T>
struct RandomLoops {
  // Element i of the draw described at Backend::uniform, for i in [begin, end).
  void (*uniform)(Index begin, Index end, T* out, PhiloxKey key, std::uint64_t first, double low,
                  double high);
};

// [to][from] by DType: out[i] = in[i], converted.
struct ConvertLoops {
  using Loop = void (*)(Index n, void* out, Index out_stride, const void* in, Index in_stride);
  Loop loop[5][5];
};

template <class T>
struct Loops {
  const PointwiseLoops<T>* pointwise;
  const RowLoops<T>* rows;
  const ReduceLoops<T>* reduce;
  const OptimizerLoops<T>* optimizer;
  const MoveLoops<T>* move;
  const RandomLoops<T>* random;
  const ConvLoops<T>* conv;
  const WinogradLoops<T>* winograd;
  const SquareLoops<T>* squares;
  const NormLoops<T>* norm;
  const PoolLoops<T>* pool;
};

// The tables in use.
template <class T>
const Loops<T>& loops();
template <>
const Loops<float>& loops<float>();
template <>
const Loops<double>& loops<double>();
const ConvertLoops& convert_loops();

#define UNDERSTUDY_DECLARE_LOOPS(isa)                \
  namespace isa {                                    \
  extern const PointwiseLoops<float> pointwise_f32;  \
  extern const PointwiseLoops<double> pointwise_f64; \
  extern const RowLoops<float> rows_f32;             \
  extern const RowLoops<double> rows_f64;            \
  extern const ReduceLoops<float> reduce_f32;        \
  extern const ReduceLoops<double> reduce_f64;       \
  extern const OptimizerLoops<float> optimizer_f32;  \
  extern const OptimizerLoops<double> optimizer_f64; \
  extern const MoveLoops<float> move_f32;            \
  extern const MoveLoops<double> move_f64;           \
  extern const RandomLoops<float> random_f32;        \
  extern const RandomLoops<double> random_f64;       \
  extern const ConvLoops<float> conv_f32;            \
  extern const ConvLoops<double> conv_f64;           \
  extern const WinogradLoops<float> winograd_f32;    \
  extern const WinogradLoops<double> winograd_f64;   \
  extern const SquareLoops<float> squares_f32;       \
  extern const SquareLoops<double> squares_f64;      \
  extern const NormLoops<float> norm_f32;            \
  extern const NormLoops<double> norm_f64;           \
  extern const PoolLoops<float> pool_f32;            \
  extern const PoolLoops<double> pool_f64;           \
  extern const ConvertLoops convert;                 \
  }
UNDERSTUDY_DECLARE_LOOPS(baseline)
#ifdef UNDERSTUDY_X86_LOOPS
UNDERSTUDY_DECLARE_LOOPS(avx2)
UNDERSTUDY_DECLARE_LOOPS(avx512)
#endif
#undef UNDERSTUDY_DECLARE_LOOPS

}  // namespace understudy::cpu
