#include "coding/erasures.h"

#include <bit>
#include <cmath>
#include <utility>

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

void validate(const CodeShape& shape) {
  if (shape.k < 1 || shape.r < 0 || shape.k > ErasurePattern::max_units - shape.r)
    throw UsageError(fmt::format("a code needs k >= 1, r >= 0 and k + r <= {}; got k = {}, r = {}",
                                 ErasurePattern::max_units, shape.k, shape.r));
}

// ---- one pattern ----

ErasurePattern::ErasurePattern(std::initializer_list<int> lost) {
  for (int unit : lost) lose(unit);
}

void ErasurePattern::lose(int unit) {
  check(unit >= 0 && unit < max_units, "[erasures] unit {} is outside [0, {})", unit, max_units);
  bits_ |= std::uint64_t{1} << unit;
}

int ErasurePattern::losses() const { return std::popcount(bits_); }

std::vector<int> ErasurePattern::lost_data(int k) const {
  std::vector<int> units;
  for (int unit = 0; unit < k; ++unit)
    if (lost(unit)) units.push_back(unit);
  return units;
}

std::string to_string(const ErasurePattern& pattern, const CodeShape& shape) {
  std::string text;
  for (int unit = 0; unit < ErasurePattern::max_units; ++unit) {
    if (!pattern.lost(unit)) continue;
    if (!text.empty()) text += ", ";
    text += unit < shape.k ? fmt::format("x{}", unit) : fmt::format("p{}", unit - shape.k);
  }
  return "{" + text + "}";
}

// ---- sets of patterns ----

std::vector<ErasurePattern> one_data_loss(const CodeShape& shape) {
  return all_patterns(shape, 1, /*data_only=*/true);
}

namespace {

// Adds every pattern that loses `left` more units, all of them at `first` or later.
void enumerate(const CodeShape& shape, int first, int left, bool data_only,
               const ErasurePattern& chosen, std::vector<ErasurePattern>& patterns) {
  if (left == 0) {
    if (!data_only || !chosen.lost_data(shape.k).empty()) patterns.push_back(chosen);
    return;
  }
  for (int unit = first; unit + left <= shape.units(); ++unit) {
    ErasurePattern next = chosen;
    next.lose(unit);
    enumerate(shape, unit + 1, left - 1, data_only, next, patterns);
  }
}

}  // namespace

std::vector<ErasurePattern> all_patterns(const CodeShape& shape, int most_losses, bool data_only) {
  validate(shape);
  check(most_losses >= 0 && most_losses <= shape.units(),
        "[erasures] {} of {} units cannot be missing", most_losses, shape.units());
  double count = 0, choose = 1;  // choose = C(k + r, losses)
  for (int losses = 1; losses <= most_losses; ++losses) {
    choose = choose * (shape.units() - losses + 1) / losses;
    count += choose;
  }
  if (count > 1e5)
    throw UsageError(fmt::format(
        "k = {} and r = {} have {:.3g} patterns of up to {} missing answers, and each is "
        "simulated; 100,000 are the most: choose a smaller k or r",
        shape.k, shape.r, count, most_losses));
  std::vector<ErasurePattern> patterns;
  for (int losses = 1; losses <= most_losses; ++losses)
    enumerate(shape, 0, losses, data_only, {}, patterns);
  return patterns;
}

void check_recoverable(const ErasurePattern& pattern, const CodeShape& shape, int most_losses) {
  check(pattern.losses() <= most_losses,
        "[erasures] {} answers of the group are missing, {}; this code with k = {}, r = {} "
        "reconstructs {} at most",
        pattern.losses(), to_string(pattern, shape), shape.k, shape.r, most_losses);
  const int last = 63 - std::countl_zero(pattern.bits());  // -1 when nothing is missing
  check(last < shape.units(), "[erasures] unit {} is missing, but a group has {} units", last,
        shape.units());
}

// ---- the patterns of a batch ----

Erasures::Erasures(const CodeShape& shape, std::vector<ErasurePattern> patterns, int most_losses,
                   Device device)
    : shape_(shape), most_losses_(most_losses), patterns_(std::move(patterns)) {
  validate(shape);
  std::vector<float> mask;
  std::vector<std::int64_t> lost_rows;
  mask.reserve(patterns_.size() * static_cast<std::size_t>(shape.units()));
  std::int64_t row = 0;  // of the (G·k, C) data outputs
  for (const ErasurePattern& pattern : patterns_) {
    check_recoverable(pattern, shape, most_losses);
    for (int unit = 0; unit < shape.units(); ++unit)
      mask.push_back(pattern.lost(unit) ? 0.0f : 1.0f);
    for (int unit = 0; unit < shape.k; ++unit, ++row)
      if (pattern.lost(unit)) lost_rows.push_back(row);
  }
  mask_ = Tensor::from(mask, {groups(), shape.units(), 1}, device);
  lost_rows_ = Tensor::from(lost_rows, {static_cast<std::int64_t>(lost_rows.size())}, device);
}

Erasures Erasures::from_mask(const CodeShape& shape, const Tensor& mask, int most_losses) {
  validate(shape);
  check(mask.rank() == 2 && mask.size(1) == shape.units(),
        "[erasures] expected a mask (G,{}), got {}", shape.units(), to_string(mask.shape()));
  const std::vector<float> answered = to(cast(mask, DType::f32), {}).to_vector<float>();
  std::vector<ErasurePattern> patterns(static_cast<std::size_t>(mask.size(0)));
  const std::size_t units = static_cast<std::size_t>(shape.units());
  for (std::size_t i = 0; i < answered.size(); ++i)
    if (answered[i] == 0) patterns[i / units].lose(static_cast<int>(i % units));
  return Erasures(shape, std::move(patterns), most_losses, mask.device());
}

Erasures Erasures::scenarios(const CodeShape& shape, const std::vector<ErasurePattern>& patterns,
                             std::int64_t groups, int most_losses, Device device) {
  std::vector<ErasurePattern> all;
  all.reserve(patterns.size() * static_cast<std::size_t>(groups));
  for (std::int64_t g = 0; g < groups; ++g) all.insert(all.end(), patterns.begin(), patterns.end());
  return Erasures(shape, std::move(all), most_losses, device);
}

Erasures Erasures::and_failed_rows(const Tensor& outputs) const {
  check(outputs.rank() == 3 && outputs.size(0) == groups() && outputs.size(1) == shape_.units(),
        "[erasures] expected outputs ({},{},C), got {}", groups(), shape_.units(),
        to_string(outputs.shape()));
  const std::vector<double> values = to(cast(outputs.detach(), DType::f64), {}).to_vector<double>();
  const std::size_t units = static_cast<std::size_t>(shape_.units());
  const std::size_t classes = static_cast<std::size_t>(outputs.size(2));
  std::vector<ErasurePattern> patterns = patterns_;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    patterns[i / classes / units].lose(static_cast<int>(i / classes % units));
  }
  return Erasures(shape_, std::move(patterns), most_losses_, outputs.device());
}

Tensor Erasures::mask(DType dtype) const {
  return dtype == mask_.dtype() ? mask_ : cast(mask_, dtype);
}

}  // namespace understudy
