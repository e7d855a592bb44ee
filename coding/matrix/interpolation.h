// Interpolation as matrices. A code without training places its k data units at points α and its
// N = k + r workers at points β of one line. A curve through the data, read at β, is what the
// workers are asked; a curve through the answers, read at α, is what the data would have answered.
#pragma once

#include <span>
#include <vector>

#include "coding/erasures.h"
#include "coding/matrix/dense.h"

namespace understudy {

// Where data and workers are, in [−1, 1], descending.
struct CodePoints {
  std::vector<double> data;     // α_0 .. α_{k−1}
  std::vector<double> workers;  // β_0 .. β_{N−1}
};

enum class PointLayout {
  spread,  // α_j = cos((2j+1)π/2k), β_i = cos(iπ/(N−1)): ApproxIFER's paper (arXiv 2109.09868)
  released,    // α as before, β_i = cos(iπ/N): its published code
  systematic,  // α_j = β_j = cos((2j+1)π/2N), j < k: the first k workers have the data themselves
};
// UsageError for an impossible shape and for r = 0.
CodePoints code_points(PointLayout layout, const CodeShape& shape);

// The workers that answered, ascending, and where they are.
struct AnsweredWorkers {
  std::vector<int> workers;
  std::vector<double> points;
};
AnsweredWorkers answered_workers(const CodePoints& points, const ErasurePattern& missing);

// Berrut's rational interpolant (1988) through values at `nodes`, read at `at`: (at × nodes), rows
// ℓ_j(z) = [(−1)^j / (z − t_j)] / Σ_m (−1)^m / (z − t_m). The signs alternate by the place in
// `nodes`, which are in ascending or descending order: then there is no pole on the line. A row
// where z is a node takes that node's value alone. Every row's sum is 1.
Matrix berrut_weights(std::span<const double> nodes, std::span<const double> at);

}  // namespace understudy
