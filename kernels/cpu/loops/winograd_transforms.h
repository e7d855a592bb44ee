// Winograd's convolution F(4, 3) as three small matrices: four outputs of a filter of three taps
// from six inputs with six multiplications instead of twelve, and in two dimensions 4 × 4 outputs
// with 36 instead of 144.
//
// Where it comes from (Toom 1963, Cook 1966; Winograd 1980 proved that six is the least; Lavin and
// Gray 2016 brought it to networks, arXiv 1509.09308). Let g be a polynomial of degree 2 and a one
// of degree 3. Their product has six coefficients, so its values at six points give it back, and
// its value at a point is one multiplication, g(p) · a(p). With
//   G   (6 × 3), row p = (1, p, p²):      g to its values at the points,
//   A   (6 × 4), row p = (1, p, p², p³):  a to its values at the points,
//   B   (6 × 6):                          values at the points to coefficients (Lagrange),
// a full convolution is B [(G g) ⊙ (A a)]. It is linear in a; its transpose in a is the sliding
// product Σ d[i + j] g[j] that networks call a convolution, and its transpose in g is the gradient
// of that:
//   y  = Aᵀ [(G g) ⊙ (Bᵀ d)]    4 outputs from 6 inputs: F(4, 3)
//   dg = Gᵀ [(A dy) ⊙ (Bᵀ d)]   3 taps from 6 inputs and 4 output gradients: F(3, 4)
// An image takes each matrix twice, down the columns and along the rows.
//
// The points are 0, ±2/3, ±3/2 and ∞ (the leading coefficient). As 2/3 · 3/2 = 1, the polynomial
// that vanishes at the finite ones, x (x² - 4/9)(x² - 9/4) = x⁵ - 97/36 x³ + x, reads the same both
// ways, and powers stay small: rounding errors are half of those of the textbook's 0, ±1, ±2, ∞,
// for the same work (Barabasz et al. 2018, arXiv 1803.10986, on choosing points). With p = 2/3 and
// q = 3/2, each Lagrange polynomial times its denominator:
//       ⎡1   0  -97/36  0    1  0⎤      ⎡ 1               ⎤      ⎡1   0   0   0 ⎤
//       ⎢0  -q   -q²    p    1  0⎥      ⎢ α   α p   α p²  ⎥      ⎢1   p   p²  p³⎥
//  Bᵀ = ⎢0   q   -q²   -p    1  0⎥  G = ⎢ α  -α p   α p²  ⎥  A = ⎢1  -p   p² -p³⎥
//       ⎢0  -p   -p²    q    1  0⎥      ⎢ β   β q   β q²  ⎥      ⎢1   q   q²  q³⎥
//       ⎢0   p   -p²   -q    1  0⎥      ⎢ β  -β q   β q²  ⎥      ⎢1  -q   q² -q³⎥
//       ⎣0   1    0  -97/36  0  1⎦      ⎣           1     ⎦      ⎣0   0   0   1 ⎦
// and the denominators in G: α = 1 / (2 p² (p² - q²)) = -81/130, β = 1 / (2 q² (q² - p²)) = 8/65.
// Rows of ±p share their even and their odd part, which is how they are computed below.
#pragma once

namespace understudy::cpu::winograd {

template <class T>
struct Constants {
  static constexpr T p = T(2) / T(3), p2 = T(4) / T(9), p3 = T(8) / T(27);
  static constexpr T q = T(3) / T(2), q2 = T(9) / T(4), q3 = T(27) / T(8);
  static constexpr T middle = T(97) / T(36);
  static constexpr T alpha = T(-81) / T(130), beta = T(8) / T(65);
  static constexpr T alpha_p = T(-27) / T(65), alpha_p2 = T(-18) / T(65);
  static constexpr T beta_q = T(12) / T(65), beta_q2 = T(18) / T(65);
};

// The matrices, for V a scalar or a vector of T's. Each is a type, to be passed on.

template <class T>
struct InputTransform {  // v = Bᵀ d
  using k = Constants<T>;
  template <class V>
  [[gnu::always_inline]] static void apply(const V (&d)[6], V (&v)[6]) {
    const V even_p = d[4] - k::q2 * d[2], odd_p = d[3] - k::q2 * d[1];
    const V even_q = d[4] - k::p2 * d[2], odd_q = d[3] - k::p2 * d[1];
    v[0] = d[0] + d[4] - k::middle * d[2];
    v[1] = even_p + k::p * odd_p;
    v[2] = even_p - k::p * odd_p;
    v[3] = even_q + k::q * odd_q;
    v[4] = even_q - k::q * odd_q;
    v[5] = d[1] + d[5] - k::middle * d[3];
  }
};

template <class T>
struct FilterTransform {  // u = G g
  using k = Constants<T>;
  template <class V>
  [[gnu::always_inline]] static void apply(const V (&g)[3], V (&u)[6]) {
    const V even_p = k::alpha * g[0] + k::alpha_p2 * g[2];
    const V even_q = k::beta * g[0] + k::beta_q2 * g[2];
    u[0] = g[0];
    u[1] = even_p + k::alpha_p * g[1];
    u[2] = even_p - k::alpha_p * g[1];
    u[3] = even_q + k::beta_q * g[1];
    u[4] = even_q - k::beta_q * g[1];
    u[5] = g[2];
  }
};

template <class T>
struct GradientTransform {  // z = A dy
  using k = Constants<T>;
  template <class V>
  [[gnu::always_inline]] static void apply(const V (&dy)[4], V (&z)[6]) {
    const V even_p = dy[0] + k::p2 * dy[2], odd_p = dy[1] + k::p2 * dy[3];
    const V even_q = dy[0] + k::q2 * dy[2], odd_q = dy[1] + k::q2 * dy[3];
    z[0] = dy[0];
    z[1] = even_p + k::p * odd_p;
    z[2] = even_p - k::p * odd_p;
    z[3] = even_q + k::q * odd_q;
    z[4] = even_q - k::q * odd_q;
    z[5] = dy[3];
  }
};

template <class T>
struct OutputTransform {  // y = Aᵀ m
  using k = Constants<T>;
  template <class V>
  [[gnu::always_inline]] static void apply(const V (&m)[6], V (&y)[4]) {
    const V even_p = m[1] + m[2], odd_p = m[1] - m[2];
    const V even_q = m[3] + m[4], odd_q = m[3] - m[4];
    y[0] = m[0] + even_p + even_q;
    y[1] = k::p * odd_p + k::q * odd_q;
    y[2] = k::p2 * even_p + k::q2 * even_q;
    y[3] = k::p3 * odd_p + k::q3 * odd_q + m[5];
  }
};

template <class T>
struct FilterGradientTransform {  // dg = Gᵀ m
  using k = Constants<T>;
  template <class V>
  [[gnu::always_inline]] static void apply(const V (&m)[6], V (&dg)[3]) {
    const V even_p = m[1] + m[2], even_q = m[3] + m[4];
    dg[0] = m[0] + k::alpha * even_p + k::beta * even_q;
    dg[1] = k::alpha_p * (m[1] - m[2]) + k::beta_q * (m[3] - m[4]);
    dg[2] = k::alpha_p2 * even_p + k::beta_q2 * even_q + m[5];
  }
};

// A transform X (Out × In) of both directions of a square: X s Xᵀ. load(i, j) gives an element of
// s, column by column, store(i, j, value) takes one of the result, row by row. In two parts, half
// of the rows are finished before the others are begun: elements are loaded twice, but fewer values
// must be kept in between.
template <class Transform, class V, int In, int Out, int Parts = 1, class Load, class Store>
[[gnu::always_inline]] inline void in_both_directions(Load&& load, Store&& store) {
  constexpr int rows = Out / Parts;
  static_assert(rows * Parts == Out);
#pragma GCC unroll 2
  for (int first = 0; first < Out; first += rows) {
    V half[rows][In];
#pragma GCC unroll 6
    for (int j = 0; j < In; ++j) {
      V column[In], to[Out];
#pragma GCC unroll 6
      for (int i = 0; i < In; ++i) column[i] = load(i, j);
      Transform::apply(column, to);
#pragma GCC unroll 6
      for (int i = 0; i < rows; ++i) half[i][j] = to[first + i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; ++i) {
      V to[Out];
      Transform::apply(half[i], to);
#pragma GCC unroll 6
      for (int j = 0; j < Out; ++j) store(first + i, j, to[j]);
    }
  }
}

}  // namespace understudy::cpu::winograd
