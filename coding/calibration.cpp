#include "coding/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"

namespace understudy {

void Calibration::add(double confidence, bool correct) {
  const double sure = std::isnan(confidence) ? 0.0 : confidence;
  const int at = std::clamp(static_cast<int>(sure * cells), 0, cells - 1);
  Cell& cell = counts_[static_cast<std::size_t>(at)];
  ++cell.count;
  cell.correct += correct;
  cell.confidence += sure;
  ++count_;
}

std::vector<Calibration::Bin> Calibration::bins(int bins) const {
  check(bins >= 1 && cells % bins == 0, "[calibration] {} bins: a divisor of {} is needed", bins,
        cells);
  std::vector<Bin> result(static_cast<std::size_t>(bins));
  for (int i = 0; i < cells; ++i) {
    const Cell& cell = counts_[static_cast<std::size_t>(i)];
    Bin& bin = result[static_cast<std::size_t>(i / (cells / bins))];
    bin.count += cell.count;
    bin.confidence += cell.confidence;
    bin.accuracy += static_cast<double>(cell.correct);
  }
  for (Bin& bin : result)
    if (bin.count > 0) {
      bin.confidence /= static_cast<double>(bin.count);
      bin.accuracy /= static_cast<double>(bin.count);
    }
  return result;
}

double Calibration::expected_error(int bins) const {
  double error = 0;
  for (const Bin& bin : this->bins(bins))
    error += static_cast<double>(bin.count) * std::abs(bin.accuracy - bin.confidence);
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : error / static_cast<double>(count_);
}

double Calibration::accuracy_without(double share) const {
  check(share >= 0 && share < 1, "[calibration] a share of {} cannot be declined: it is in [0, 1)",
        share);
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  // From the most confident down, whole cells, the last of them in part.
  const double kept = (1 - share) * static_cast<double>(count_);
  double taken = 0, right = 0;
  for (auto cell = counts_.rbegin(); cell != counts_.rend() && taken < kept; ++cell) {
    if (cell->count == 0) continue;
    const double part = std::min(1.0, (kept - taken) / static_cast<double>(cell->count));
    taken += part * static_cast<double>(cell->count);
    right += part * static_cast<double>(cell->correct);
  }
  return right / taken;
}

}  // namespace understudy
