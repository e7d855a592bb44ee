// The transforms of Winograd's F(4×4, 3×3), for steps 6 to 8 of the convolution ladder: 4×4 outputs
// from the 6×6 inputs that they see with 36 multiplications, where the definition takes 144.
//   Y = Aᵀ [ Σ over c of (G w Gᵀ) ⊙ (Bᵀ x B) ] A
// (Lavin and Gray 2016, arXiv 1509.09308).
// Row and column are polynomials, multiplied through their values at six points: 0, ±2/3, ±3/2, ∞.
// These lose half as much to rounding as the textbook's 0, ±1, ±2, ∞, and cost the same.
#pragma once

#include "conv.h"

#define STUDY_INLINE __attribute__((always_inline)) inline

namespace study::winograd {

typedef float Vector __attribute__((vector_size(32)));
typedef float InMemory __attribute__((vector_size(32), aligned(4), may_alias));

constexpr Index lanes = 8, columns = 2 * lanes;  // channels in a vector, in a panel of filters
constexpr Index rows = 6;                        // tiles that are multiplied together
constexpr Index side = 4, points = 6, elements = points * points;

// The tiles of all images, and where one begins.
inline Index tile_count(const Conv& v) { return v.N * (v.H / side) * (v.W / side); }
struct Place {
  Index n, h, w;
};
inline Place place(const Conv& v, Index tile) {
  const Index across = v.W / side, down = v.H / side;
  return {tile / across / down, tile / across % down * side, tile % across * side};
}

// Bᵀ · in, for six vectors. The rows are the coefficients of Π (x - point) over the other points:
// for 0, (x² - 4/9)(x² - 9/4) = x⁴ - 97/36 x² + 1, and so on.
STUDY_AVX2 STUDY_INLINE void transform_six(const Vector (&in)[points], Vector (&out)[points]) {
  const Vector even_near = in[4] - 9.0f / 4 * in[2], odd_near = 2.0f / 3 * in[3] - 1.5f * in[1];
  const Vector even_far = in[4] - 4.0f / 9 * in[2], odd_far = 1.5f * in[3] - 2.0f / 3 * in[1];
  out[0] = in[0] - 97.0f / 36 * in[2] + in[4];
  out[1] = even_near + odd_near;
  out[2] = even_near - odd_near;
  out[3] = even_far + odd_far;
  out[4] = even_far - odd_far;
  out[5] = in[1] - 97.0f / 36 * in[3] + in[5];
}

// Aᵀ · in: the powers of the points.
STUDY_AVX2 STUDY_INLINE void transform_four(const Vector (&in)[points], Vector (&out)[side]) {
  const Vector near_sum = in[1] + in[2], near_difference = in[1] - in[2];
  const Vector far_sum = in[3] + in[4], far_difference = in[3] - in[4];
  out[0] = in[0] + near_sum + far_sum;
  out[1] = 2.0f / 3 * near_difference + 1.5f * far_difference;
  out[2] = 4.0f / 9 * near_sum + 9.0f / 4 * far_sum;
  out[3] = 8.0f / 27 * near_difference + 27.0f / 8 * far_difference + in[5];
}

// G w Gᵀ of every filter, as panels: (36, K / 16, C, 16).
inline Array transform_filters(const Conv& v) {
  constexpr double near = -81.0 / 130, far = 8.0 / 65;  // 1 / Π (point - other points)
  constexpr double G[points][3] = {{1, 0, 0},
                                   {near, near * 2 / 3, near * 4 / 9},
                                   {near, -near * 2 / 3, near * 4 / 9},
                                   {far, far * 3 / 2, far * 9 / 4},
                                   {far, -far * 3 / 2, far * 9 / 4},
                                   {0, 0, 1}};
  Array filters(elements * v.C * v.K);
  for (Index k = 0; k < v.K; ++k)
    for (Index c = 0; c < v.C; ++c)
      for (Index e = 0; e < elements; ++e) {
        double sum = 0;
        for (Index r = 0; r < 3; ++r)
          for (Index s = 0; s < 3; ++s)
            sum +=
                G[e / points][r] * G[e % points][s] * double(v.w[((k * 3 + r) * 3 + s) * v.C + c]);
        filters[((e * v.K + k / columns * columns) * v.C) + c * columns + k % columns] =
            static_cast<float>(sum);
      }
  return filters;
}

// to[e · step + c] = (Bᵀ x B)[e] for the C channels of one tile.
STUDY_AVX2 inline void transform_input(const Conv& v, const float* zeros, Index tile, float* to,
                                       Index step) {
  const Place at = place(v, tile);
  const float* x[points][points];
  for (Index i = 0; i < points; ++i)
    for (Index j = 0; j < points; ++j) {
      const Index h = at.h + i - 1, w = at.w + j - 1;
      const bool inside = h >= 0 && h < v.H && w >= 0 && w < v.W;
      x[i][j] = inside ? v.x + ((at.n * v.H + h) * v.W + w) * v.C : zeros;
    }
  for (Index c = 0; c < v.C; c += lanes) {
    Vector half[points][points];  // transformed down the columns; [j][i]
    for (Index j = 0; j < points; ++j) {
      Vector in[points];
#pragma GCC unroll 6
      for (Index i = 0; i < points; ++i) in[i] = *reinterpret_cast<const InMemory*>(x[i][j] + c);
      transform_six(in, half[j]);
    }
    for (Index i = 0; i < points; ++i) {
      Vector in[points], out[points];
#pragma GCC unroll 6
      for (Index j = 0; j < points; ++j) in[j] = half[j][i];
      transform_six(in, out);
#pragma GCC unroll 6
      for (Index j = 0; j < points; ++j)
        *reinterpret_cast<InMemory*>(to + (i * points + j) * step + c) = out[j];
    }
  }
}

// y's 4×4 pixels of one tile = Aᵀ m A, m[e · step + k]; then + bias and ReLU where asked for.
template <bool BiasRelu = false>
STUDY_AVX2 inline void transform_output(const Conv& v, Index tile, const float* m, Index step) {
  const Place at = place(v, tile);
  for (Index k = 0; k < v.K; k += lanes) {
    Vector half[side][points];
    for (Index j = 0; j < points; ++j) {
      Vector in[points], out[side];
#pragma GCC unroll 6
      for (Index i = 0; i < points; ++i)
        in[i] = *reinterpret_cast<const InMemory*>(m + (i * points + j) * step + k);
      transform_four(in, out);
#pragma GCC unroll 4
      for (Index i = 0; i < side; ++i) half[i][j] = out[i];
    }
    for (Index i = 0; i < side; ++i) {
      Vector out[side];
      transform_four(half[i], out);
      float* const y = v.y + ((at.n * v.H + at.h + i) * v.W + at.w) * v.K + k;
#pragma GCC unroll 4
      for (Index j = 0; j < side; ++j) {
        if constexpr (BiasRelu) {
          out[j] += *reinterpret_cast<const InMemory*>(v.bias + k);
          out[j] = out[j] > 0.0f ? out[j] : Vector{};
        }
        *reinterpret_cast<InMemory*>(y + j * v.K) = out[j];
      }
    }
  }
}

// m (6, 16) = a (6, C) · filters (C, 16): six tiles, one panel of filters.
STUDY_AVX2 inline void multiply_tile(const Conv& v, const float* a, const float* filters,
                                     float* m) {
  Vector sums[rows][2] = {};
  for (Index c = 0; c < v.C; ++c) {
    const Vector left = *reinterpret_cast<const InMemory*>(filters + c * columns);
    const Vector right = *reinterpret_cast<const InMemory*>(filters + c * columns + lanes);
#pragma GCC unroll 6
    for (Index i = 0; i < rows; ++i) {
      const float x = a[i * v.C + c];
      sums[i][0] += x * left;
      sums[i][1] += x * right;
    }
  }
#pragma GCC unroll 6
  for (Index i = 0; i < rows; ++i) {
    *reinterpret_cast<InMemory*>(m + i * v.K) = sums[i][0];
    *reinterpret_cast<InMemory*>(m + i * v.K + lanes) = sums[i][1];
  }
}

// m (count, K) = a (count, C) · the filters of element e.
STUDY_AVX2 inline void multiply_element(const Conv& v, Index e, const float* a, float* m,
                                        Index count) {
  for (Index k = 0; k < v.K; k += columns)
    for (Index i = 0; i < count; i += rows)
      multiply_tile(v, a + i * v.C, v.prepared + (e * v.K + k) * v.C, m + i * v.K + k);
}

}  // namespace study::winograd
