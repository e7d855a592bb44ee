#include "coding/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"

namespace understudy {

void Calibration::add(double confidence, bool correct) {
  answers_.push_back({std::isnan(confidence) ? 0.0f : static_cast<float>(confidence), correct});
}

std::vector<Calibration::Bin> Calibration::bins(int bins) const {
  check(bins >= 1, "[calibration] {} bins: at least 1 is needed", bins);
  std::vector<Bin> result(static_cast<std::size_t>(bins));
  for (const Answer& answer : answers_) {
    const int at =
        std::clamp(static_cast<int>(answer.confidence * static_cast<float>(bins)), 0, bins - 1);
    Bin& bin = result[static_cast<std::size_t>(at)];
    ++bin.count;
    bin.confidence += answer.confidence;
    bin.accuracy += answer.correct;
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
  return answers_.empty() ? std::numeric_limits<double>::quiet_NaN()
                          : error / static_cast<double>(count());
}

double Calibration::accuracy_without(double share) const {
  check(share >= 0 && share < 1, "[calibration] a share of {} cannot be declined: it is in [0, 1)",
        share);
  if (answers_.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::vector<Answer> sorted = answers_;
  std::sort(sorted.begin(), sorted.end(),
            [](const Answer& a, const Answer& b) { return a.confidence > b.confidence; });
  // From the most confident down, whole runs of equal confidence, the last of them in part.
  const double kept = (1 - share) * static_cast<double>(count());
  double taken = 0, right = 0;
  for (std::size_t begin = 0; begin < sorted.size() && taken < kept;) {
    std::size_t end = begin;
    double correct = 0;
    for (; end < sorted.size() && sorted[end].confidence == sorted[begin].confidence; ++end)
      correct += sorted[end].correct;
    const double equal = static_cast<double>(end - begin);
    const double part = std::min(1.0, (kept - taken) / equal);
    taken += part * equal;
    right += part * correct;
    begin = end;
  }
  return right / taken;
}

}  // namespace understudy
