// What the numbers of a place say, in words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/report/merge_settings.h"

namespace understudy::report {

// Where distillation's mean score passes COIN's. Both by their usual Fisher, data, damping and
// weights.
struct Crossing {
  const MergeSetting* coin = nullptr;       // never null, nor is the other; at the same P
  const MergeSetting* distill = nullptr;    // at the smallest P at which its mean is above COIN's
  bool at_once = false;                     // that is the smallest P at which both were run
  std::optional<std::int64_t> below_again;  // the first larger P at which it is not
};
// Empty where one of the two was not run, or never passes the other.
std::optional<Crossing> crossing_in_points(const MergePlace& place);

// The least time after which distillation, at any P, has a mean above that of every COIN that took no
// longer, and the setting that has it; empty where there is none.
struct CrossingInTime {
  const MergeSetting* distill = nullptr;  // never null
  const MergeSetting* coin = nullptr;     // the best of those that took no longer; null: none did
};
std::optional<CrossingInTime> crossing_in_seconds(const MergePlace& place);

// A sentence each: how COIN stands beside the plain average and RegMean, what is best, and where
// distillation passes COIN in P and in seconds. None that there are no numbers for.
std::vector<std::string> merge_findings(const MergePlace& place);

}  // namespace understudy::report
