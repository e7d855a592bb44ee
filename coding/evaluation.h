// What a code is worth (arXiv 1806.01259): how good an answer is that had to be reconstructed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coding/calibration.h"
#include "coding/erasures.h"
#include "coding/query_code.h"
#include "datasets/dataset.h"

namespace understudy {

struct PatternScore {
  ErasurePattern pattern;
  std::int64_t rows = 0;       // reconstructed answers under this pattern, over all groups
  std::int64_t recovered = 0;  // argmax(decoded) = argmax F(x)
  std::int64_t correct = 0;    // argmax(decoded) = label
};

struct CodeScore {
  CodeShape shape;
  bool systematic = true;
  std::int64_t groups = 0;
  std::int64_t images = 0;
  double model_accuracy = 0;      // of the base model, over the images of the groups
  double available_accuracy = 0;  // when every worker answers: the model's for a systematic code
  double squared_error = 0;       // Σ_c (decoded − F(x))², averaged over what was recovered
  std::int64_t unrecovered = 0;   // answers of which the code said that it cannot recover them
  std::vector<PatternScore> patterns;
  Calibration calibration;  // of the reconstructed answers, correct meaning the label

  std::int64_t erasures() const;     // answers reconstructed
  double recovery_accuracy() const;  // over all of them
  double overall_accuracy() const;   // likewise: accuracy of reconstructed answers ("degraded")
  // The same, over the patterns with exactly `losses` missing units; NaN where there are none.
  double recovery_accuracy(int losses) const;
  double overall_accuracy(int losses) const;
  // Accuracy of all k answers of a group when one of its k + r workers, each as likely, does not
  // answer: those that arrived and those that had to be reconstructed. The number by which a code
  // that is not systematic, of which every answer is a reconstruction then, compares with one that
  // is. Needs the standard patterns.
  double group_accuracy() const;
  // A(f) = (1 − f) · accuracy available + f · accuracy degraded: when a fraction f of the answers
  // has to be reconstructed.
  double accuracy_at(double unavailable) const;
};

// The patterns that are simulated for a code: every one with up to `most_losses` missing units that
// leaves something to reconstruct. A systematic code has that where data are missing: for r = 1 the
// k patterns of the paper, "exactly one data output missing". Any other code has it everywhere. Of
// codes to which the pattern does not matter, those with one missing unit: replication has far too
// many.
std::vector<ErasurePattern> standard_patterns(const QueryCode& code);

// Groups of consecutive images, the leftover that fills no group dropped; each under
// every pattern. `base_outputs`: all_outputs(base, dataset). `index`: the images to use,
// in this order; empty = all. Code and base are in evaluation mode meanwhile.
// `groups_per_batch`: 0 chooses a number that bounds the memory.
CodeScore evaluate_code(QueryCode& code, Module& base, const Dataset& dataset,
                        const Tensor& base_outputs, const std::vector<ErasurePattern>& patterns,
                        const std::vector<std::int64_t>& index = {},
                        std::int64_t groups_per_batch = 0);

// argmax of each row of `outputs` (N, classes); -1, which is no class, for a row with a NaN in it:
// it is right about nothing, whatever argmax makes of it.
std::vector<std::int64_t> predicted_classes(const Tensor& outputs);
// How many of the same length are the same class; -1 equals nothing.
std::int64_t count_agreeing(const std::vector<std::int64_t>& predicted,
                            const std::vector<std::int64_t>& wanted);
// The fraction of rows of `outputs` (N, classes) whose argmax is the label.
double accuracy(const Tensor& outputs, const Tensor& labels);

}  // namespace understudy
