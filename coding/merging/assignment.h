// Linear assignment: which of B's units takes which of A's places.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace understudy {

// The permutation p that maximises Σ_i scores[i, p(i)]; scores (n, n), row by row. Shortest
// augmenting paths in double, O(n³) (Jonker and Volgenant 1987, as in Crouse 2016). The identity
// where nothing is better than it, and the same choice among equals every time. Error for scores
// that are not n² or not finite.
std::vector<std::int64_t> best_assignment(std::span<const double> scores, std::int64_t n);

}  // namespace understudy
