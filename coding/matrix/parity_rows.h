// Linear parities: which sums of its k data units a code asks for, and how missing ones are solved
// for. For codes with these matrices, and for learned and parity-model codes that use them.
#pragma once

#include "coding/erasures.h"
#include "coding/matrix/dense.h"

namespace understudy {

// (r × k), row m: (j+1)^m for data unit j. Any r of the columns are independent of each other, also
// when rows are missing: Vandermonde with positive points. Row 0 is the sum.
Matrix vandermonde_rows(const CodeShape& shape);
// The same with each row divided by its sum, so that a parity stays in the range of the inputs and
// has the bias of an affine model once: row 0 is the mean.
Matrix mean_rows(const CodeShape& shape);
// Rows k..k+r−1 of systematic Berrut's encoding: the interpolant of the data at the other workers.
Matrix systematic_berrut_rows(const CodeShape& shape);

// Whether row j of `encoding`, j < k, is data unit j itself.
bool asks_data(const Matrix& encoding, int j);
// D (k × N) with D · E · x = x for every x, from the answers that are not missing: zero columns
// where they are. encoding (N × k). Data units that were asked and answered are what was answered;
// the others are the least squares solution, with a ridge on request. Where too few answers are
// left that is not exact but of least norm.
Matrix exact_decoding(const Matrix& encoding, const ErasurePattern& missing, double ridge = 0);

}  // namespace understudy
