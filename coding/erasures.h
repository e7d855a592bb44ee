// Which of a group's answers are missing. A group is k data units followed by r parity units; the
// answer of each comes from another worker, and any of them may be late, lost or nonsense.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace understudy {

struct CodeShape {
  int k = 2;  // data units (queries) in a group
  int r = 1;  // parity units
  int units() const { return k + r; }
  friend bool operator==(const CodeShape&, const CodeShape&) = default;
};
// UsageError unless k >= 1, r >= 0 and k + r <= ErasurePattern::max_units.
void validate(const CodeShape& shape);

// A set of missing units, numbered as in the group: 0..k-1 data, k..k+r-1 parity.
class ErasurePattern {
 public:
  static constexpr int max_units = 64;

  ErasurePattern() = default;  // nothing is missing
  ErasurePattern(std::initializer_list<int> lost);

  void lose(int unit);  // Error outside [0, max_units)
  bool lost(int unit) const { return bits_ >> unit & 1; }
  int losses() const;
  // The missing data units, ascending.
  std::vector<int> lost_data(int k) const;
  std::uint64_t bits() const { return bits_; }

  friend bool operator==(const ErasurePattern&, const ErasurePattern&) = default;

 private:
  std::uint64_t bits_ = 0;
};
std::string to_string(const ErasurePattern& pattern, const CodeShape& shape);  // "{x1, p0}"

// "exactly one data output missing": k patterns, the i-th misses data unit i (arXiv 1806.01259).
std::vector<ErasurePattern> one_data_loss(const CodeShape& shape);
// Every pattern with 1..most_losses missing units, fewest losses first; `data_only` leaves out
// those that miss parities alone, where there is nothing to reconstruct. With most_losses = 1 and
// data_only this is one_data_loss. UsageError for more than 100,000.
std::vector<ErasurePattern> all_patterns(const CodeShape& shape, int most_losses,
                                         bool data_only = false);
// Error that names both numbers when more units are missing than `most_losses`, and Error when the
// pattern misses a unit that the group does not have.
void check_recoverable(const ErasurePattern& pattern, const CodeShape& shape, int most_losses);

// The patterns of a batch of G groups, and what ops need to know of them.
class Erasures {
 public:
  // One pattern per group. Checked as in check_recoverable.
  Erasures(const CodeShape& shape, std::vector<ErasurePattern> patterns, int most_losses,
           Device device = {});
  // From a mask (G, k+r), 0 where an answer is missing. The mask is read on the host.
  static Erasures from_mask(const CodeShape& shape, const Tensor& mask, int most_losses);
  // Every one of `groups` groups under every pattern: G·S entries, the S scenarios of a group
  // together, in the order of `patterns`.
  static Erasures scenarios(const CodeShape& shape, const std::vector<ErasurePattern>& patterns,
                            std::int64_t groups, int most_losses, Device device = {});

  // The same with every row of `outputs` (G, k+r, C) that has a NaN or an infinity counted as
  // missing: a worker that answers nonsense has not answered.
  Erasures and_failed_rows(const Tensor& outputs) const;

  const CodeShape& shape() const { return shape_; }
  std::int64_t groups() const { return static_cast<std::int64_t>(patterns_.size()); }
  const std::vector<ErasurePattern>& patterns() const { return patterns_; }
  Tensor mask(DType dtype = DType::f32) const;  // (G, k+r, 1): 1 answered, 0 missing
  // Rows of a (G·k, C) matrix of data outputs that are missing, ascending: i64 (L).
  const Tensor& lost_rows() const { return lost_rows_; }
  std::int64_t lost_count() const { return lost_rows_.count(); }

 private:
  CodeShape shape_;
  int most_losses_;
  std::vector<ErasurePattern> patterns_;
  Tensor mask_, lost_rows_;
};

}  // namespace understudy
