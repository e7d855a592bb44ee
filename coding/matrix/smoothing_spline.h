// Natural cubic smoothing splines as matrices: the codes NeRCC (arXiv 2402.04377) and LeTCC
// (arXiv 2406.00300).
#pragma once

#include <span>

#include "coding/matrix/dense.h"

namespace understudy {

// The curve u that makes (1/m) Σ_i (y_i − u(t_i))² + lambda ∫u″² least, for values y at the m
// `nodes`, read at `at`: (at × nodes). lambda = 0 passes through the values; between lambda = 0 and
// infinity lies the way to the least squares line. Linear outside the nodes; a straight line for
// two nodes, a constant for one. `nodes` are distinct, in any order. Every row's sum is 1.
//
// Reinsch (1967), as in Green and Silverman: t ascending, h_i = t_{i+1} − t_i, second derivatives γ
// with (R + m·lambda·QᵀQ) γ = Qᵀy, and fitted values g = y − m·lambda·Qγ.
Matrix spline_weights(std::span<const double> nodes, std::span<const double> at, double lambda);

}  // namespace understudy
