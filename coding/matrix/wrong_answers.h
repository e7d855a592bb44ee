// Which workers answered wrongly (Byzantine workers), from their answers alone: ApproxIFER
// (arXiv 2109.09868).
#pragma once

#include <span>
#include <vector>

#include "coding/matrix/dense.h"

namespace understudy {

// Answers that are needed to find `wrong` wrong ones among those to k data units: 2(k + wrong) − 1.
int answers_to_locate(int k, int wrong);

// The `wrong` workers that are least believed, ascending, as places in `points`. answers (n,
// classes): those of the workers at `points` (n), n >= answers_to_locate(k, wrong) or Error.
//
// For each class a rational function P/Q of degrees k + wrong − 1 is put through the answers y by
// least squares: P(β_i) = y_i·Q(β_i). Right answers lie on a curve of lower degree, so that P and Q
// have a factor to spare, and where y is wrong both sides can only agree by being 0. The workers
// with the smallest |Q(β_i)| are the suspects of this class; the classes vote.
//
// Published with Q(0) = 1. There is no such Q where a wrong worker is at β = 0, where every odd
// number of workers has one, and the right answers fit exactly. Here Q's coefficients have norm 1:
// up to a factor the same Q where there are no more answers than are needed. P is eliminated by a
// projection, and Q is written in Chebyshev polynomials, since monomials of these degrees are
// nearly dependent.
std::vector<int> locate_wrong(std::span<const double> points, const Matrix& answers, int k,
                              int wrong);

}  // namespace understudy
