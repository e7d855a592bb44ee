// How far the confidence of an answer can be trusted, so that a service can decline an unreliable
// one.
#pragma once

#include <cstdint>
#include <vector>

namespace understudy {

// Confidence: the largest softmax probability of an answer, in [0, 1]. What is kept of many answers
// is counts in `cells` of equal width, so answers less than 1/cells apart count as equally
// confident.
class Calibration {
 public:
  static constexpr int cells = 10000;

  Calibration() : counts_(cells) {}
  // NaN, the confidence of an answer that could not be recovered, counts as 0.
  void add(double confidence, bool correct);
  std::int64_t count() const { return count_; }

  struct Bin {
    std::int64_t count = 0;
    double confidence = 0;  // mean of those in the bin; 0 for none
    double accuracy = 0;    // share of them that are correct
  };
  // `bins` of equal width over [0, 1], the last with 1 in it. Error unless they divide `cells`.
  std::vector<Bin> bins(int bins = 10) const;
  // Expected calibration error: Σ count · |accuracy − confidence| / Σ count over those bins; NaN
  // without an answer.
  double expected_error(int bins = 10) const;
  // Accuracy of the answers that are kept when the least confident `share` of them, in [0, 1), is
  // declined; answers as confident as the last one declined count in proportion. NaN without an
  // answer.
  double accuracy_without(double share) const;

 private:
  struct Cell {
    std::int64_t count = 0, correct = 0;
    double confidence = 0;  // summed
  };
  std::vector<Cell> counts_;
  std::int64_t count_ = 0;
};

}  // namespace understudy
