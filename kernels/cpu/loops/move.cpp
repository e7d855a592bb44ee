// Conversions between element types, and the arithmetic that goes with moving rows.
#include "kernels/convert.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/pixels.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

template <class To, class From>
void convert_run(Index n, void* to, Index out_stride, const void* from, Index in_stride) {
  To* const out = static_cast<To*>(to);
  const From* const in = static_cast<const From*>(from);
  if (out_stride == 1 && in_stride == 1) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) out[i] = converted<To>(in[i]);
  } else {
    for (Index i = 0; i < n; ++i) out[i * out_stride] = converted<To>(in[i * in_stride]);
  }
}

// As many channels as an image has (1, 3, 4) are spread over a run of constants, so that the loop
// is one over elements; more take the plain double loop.
template <class T>
void normalize_bytes(Index pixels, Index C, T* out, const std::uint8_t* in, const T* scale,
                     const T* shift) {
  constexpr Index longest = 64, most_channels = 4;
  if (C > most_channels) {
    for (Index p = 0; p < pixels; ++p)
#pragma omp simd
      for (Index c = 0; c < C; ++c) out[p * C + c] = normalized(in[p * C + c], scale[c], shift[c]);
    return;
  }
  T scales[longest], shifts[longest];
  for (Index i = 0, c = 0; i < longest; ++i, c = c + 1 == C ? 0 : c + 1) {
    scales[i] = scale[c];
    shifts[i] = shift[c];
  }
  // 16, 32 or 64 elements hold whole pixels of 1, 2 or 4 channels; 48 those of 3.
  const Index n = pixels * C;
  const auto block = [&](Index length) __attribute__((always_inline)) {
    Index i = 0;
    for (; i + length <= n; i += length)
#pragma omp simd
      for (Index j = 0; j < length; ++j) out[i + j] = normalized(in[i + j], scales[j], shifts[j]);
    for (Index j = 0; i < n; ++i, ++j) out[i] = normalized(in[i], scales[j], shifts[j]);
  };
  if (C == 3)
    block(48);
  else
    block(64);
}

template <class T>
void add(Index n, T* out, const T* in) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) out[i] += in[i];
}

template <class T>
inline constexpr MoveLoops<T> table = {normalize_bytes<T>, add<T>};

using U8 = std::uint8_t;
using I32 = std::int32_t;
using I64 = std::int64_t;

// In the order of DType.
#define UNDERSTUDY_FROM_ALL(To)                                                                 \
  {                                                                                             \
    convert_run<To, float>, convert_run<To, double>, convert_run<To, U8>, convert_run<To, I32>, \
        convert_run<To, I64>                                                                    \
  }
constexpr ConvertLoops convert_table = {{UNDERSTUDY_FROM_ALL(float), UNDERSTUDY_FROM_ALL(double),
                                         UNDERSTUDY_FROM_ALL(U8), UNDERSTUDY_FROM_ALL(I32),
                                         UNDERSTUDY_FROM_ALL(I64)}};

}  // namespace

const MoveLoops<float> move_f32 = table<float>;
const MoveLoops<double> move_f64 = table<double>;
const ConvertLoops convert = convert_table;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
