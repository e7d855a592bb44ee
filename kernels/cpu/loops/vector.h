// Vectors as wide as the registers of the instruction set that a file of this folder is compiled
// for. Included by those files only, inside none of their namespaces: every name here differs
// between them.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

#if defined(__AVX512F__)
inline constexpr Index register_bytes = 64;
#elif defined(__AVX2__)
inline constexpr Index register_bytes = 32;
#else
inline constexpr Index register_bytes = 16;
#endif

template <class T, Index Bytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(Bytes), may_alias));
  // As it lies in an array: aligned like one element.
  typedef T Unaligned __attribute__((vector_size(Bytes), aligned(alignof(T)), may_alias));
};
template <class T>
using Vector = typename VectorOf<T, register_bytes>::Type;
template <class T>
inline constexpr Index lanes = register_bytes / static_cast<Index>(sizeof(T));

template <class T>
[[gnu::always_inline]] inline Vector<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T, register_bytes>::Unaligned*>(p);
}
template <class T>
[[gnu::always_inline]] inline void store(T* p, Vector<T> v) {
  *reinterpret_cast<typename VectorOf<T, register_bytes>::Unaligned*>(p) = v;
}
// The first n of a vector's lanes, 0 <= n <= lanes; the others read as zero and are not written.
template <class T>
[[gnu::always_inline]] inline Vector<T> load_some(const T* p, Index n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
  else
    return (Vector<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
#else
  Vector<T> v = {};
  if (n == lanes<T>) return load(p);
  for (Index i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
template <class T>
[[gnu::always_inline]] inline void store_some(T* p, Vector<T> v, Index n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v);
#else
  if (n == lanes<T>) return store(p, v);
  for (Index i = 0; i < n; ++i) p[i] = v[i];
#endif
}

}  // namespace
}  // namespace understudy::cpu::UNDERSTUDY_ISA
