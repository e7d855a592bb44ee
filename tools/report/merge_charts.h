// The charts of merges, a few for each place.
#pragma once

#include <string>
#include <vector>

#include "tools/report/chart.h"
#include "tools/report/merge_settings.h"

namespace understudy::report {

// All of a place, those with nothing to show left out.
std::vector<Chart> merge_charts(const MergePlace& place);

// Normalised decoding accuracy on train and test images over epochs of distilling, at the smallest
// and the largest P that have a curve; bands: 95 % intervals over seeds. A chart for each method with
// curves, of its usual row.
std::vector<Chart> distillation_charts(const MergePlace& place);
// Normalised decoding accuracy over P: COIN, RegMean, distillation, the two best other methods, and
// the plain average as a level. Each by its usual Fisher, data, damping and weights.
Chart chart_over_points(const MergePlace& place);
// The same over the seconds that merging took.
Chart chart_over_seconds(const MergePlace& place);
// COIN alone, over P, a line for each Fisher kind, data, damping and weights; no series for one.
Chart chart_of_choices(const MergePlace& place);

// The rows that the charts have room for: in the order above, those that are there.
struct ChartedRow {
  const MergeRow* row = nullptr;  // never null
  int colour = 0;
};
std::vector<ChartedRow> charted_rows(const MergePlace& place);

}  // namespace understudy::report
