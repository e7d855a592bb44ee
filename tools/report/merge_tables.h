// The tables of merges: what each method gives, and what it costs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/experiment.h"
#include "tools/report/merge_settings.h"
#include "tools/report/table.h"

namespace understudy::report {

// A row for each method, Fisher and β, a column for each P; what was not run is blank.
Table merge_score_table(const MergePlace& place);  // normalised decoding accuracy
Table merge_time_table(const MergePlace& place);   // seconds
// Everything about each method at one P: accuracies, the reconstructed answers of each task, time,
// memory and what it must be given. Methods that look at no points have rows too.
Table merge_cost_table(const MergePlace& place);
// The P that has most rows, and of several such the one next to 1,000; empty where there are no
// points at all.
std::optional<std::int64_t> compared_points(const MergePlace& place);

// How each merge was made: a line for each command.
Table merge_origin_table(const Experiment& experiment);

// The columns that tell the rows of a method apart, as far as the rows of a place differ there.
class RowChoices {
 public:
  explicit RowChoices(const MergePlace& place);
  void add_columns(std::vector<Column>& columns) const;
  void add_cells(const MergeRow& row, std::vector<std::string>& cells) const;
  void add_blank_cells(std::vector<std::string>& cells) const;

 private:
  bool fisher_ = false, weights_;
};

// What the figures of a table are: over how many seeds.
std::string seeds_note(const std::vector<const MergeSetting*>& shown);

// 1.62 ± 0.03: three figures of the mean, but three decimals at most, or four below 0.01.
std::string quantity_cell(const std::optional<Estimate>& estimate);
// 91.2 ± 0.5, of values in per cent.
std::string score_cell(const std::optional<Estimate>& estimate);

}  // namespace understudy::report
