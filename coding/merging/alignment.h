// Git Re-Basin (Ainsworth, Hayase and Srinivasa 2023), by weight matching: networks trained from
// different starts compute alike with their hidden units in different orders; put into one order,
// their weights can be averaged.
#pragma once

#include <vector>

#include "coding/merging/permutation_spec.h"

namespace understudy {

struct AlignmentOptions {
  int most_sweeps = 100;      // over all groups
  double least_gain = 1e-12;  // of the similarity, in one step; a sweep without one is the last
};

// What matching found.
struct Alignment {
  Permutations permutations;
  double before = 0, after = 0;  // Σ_l ⟨W_l^A, P_l W_l^B P_{l-1}ᵀ⟩ with P = 1, and with those found
  // The same divided by ‖W^A‖ ‖W^B‖, over all the tensors compared: 1 for equal networks.
  double cosine_before = 0, cosine_after = 0;
  int sweeps = 0;  // with the one that found nothing
};

// Coordinate descent: for one group of units after the other, in random order, the permutation that
// brings B (`state`) nearest to A (`reference`) with all others held, a linear assignment. Compares
// every parameter that the spec names, biases and batch norms' affine parts too, in double. What it
// reaches is a maximum in each group by itself, not always the best of all. Error for states that
// do not have the spec's tensors in its sizes, for values that are not finite, and for a spec in
// which one group has two axes of one tensor.
Alignment match_units(const PermutationSpec& spec, const std::vector<NamedTensor>& reference,
                      const std::vector<NamedTensor>& state, Generator& generator,
                      const AlignmentOptions& options = {});

// `state` with its units in the order of the reference's: the same function. `found`, where given,
// is told what the matching was.
std::vector<NamedTensor> align(const PermutationSpec& spec,
                               const std::vector<NamedTensor>& reference,
                               const std::vector<NamedTensor>& state, Generator& generator,
                               Alignment* found = nullptr);

struct MergeWork;
// "rebasin": every model but the first is replaced by a copy with its units in the order of the
// first's, and Fisher information that the problem has of it goes along. The start, if there is
// one, stays in its own order.
void align_models(MergeWork& work);

}  // namespace understudy
