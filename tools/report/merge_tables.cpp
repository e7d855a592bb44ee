#include "tools/report/merge_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "coding/merging/evaluation.h"
#include "tools/report/experiment_tables.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

std::string written(double value, int decimals) {
  return fmt::format("{}{:.{}f}", value < 0 ? "−" : "", std::abs(value), decimals);
}

template <class Cell>
Table over_points(const MergePlace& place, const std::string& title, Cell cell) {
  Table table{title, {{"Method", "", false}}, {}, {}};
  const RowChoices choices(place);
  choices.add_columns(table.columns);
  for (const auto& points : place.points)
    table.columns.push_back({written_points(points), "", true});
  Section section;
  std::vector<const MergeSetting*> shown;
  for (const MergeRow& row : place.rows) {
    Row line{{row.method()}, row.any().method == "average"};
    choices.add_cells(row, line.cells);
    for (const auto& points : place.points) {
      const MergeSetting* setting = row.at(points);
      line.cells.push_back(setting ? cell(*setting) : "");
      if (setting) shown.push_back(setting);
    }
    section.rows.push_back(std::move(line));
  }
  table.sections.push_back(std::move(section));
  table.notes.push_back(seeds_note(shown));
  return table;
}

}  // namespace

RowChoices::RowChoices(const MergePlace& place) : weights_(place.has_other_weights()) {
  for (const MergeRow& row : place.rows) fisher_ = fisher_ || !row.fisher().empty();
}

void RowChoices::add_columns(std::vector<Column>& columns) const {
  if (fisher_) columns.push_back({"Fisher", "kind, data, damping", false, "Fisher"});
  if (weights_) columns.push_back({"β", "of each model", false, "β"});
}

void RowChoices::add_cells(const MergeRow& row, std::vector<std::string>& cells) const {
  if (fisher_) cells.push_back(row.fisher());
  if (weights_) cells.push_back(written_weights(row.any()));
}

void RowChoices::add_blank_cells(std::vector<std::string>& cells) const {
  cells.resize(cells.size() + fisher_ + weights_);
}

std::string seeds_note(const std::vector<const MergeSetting*>& shown) {
  std::vector<std::size_t> seeds;
  seeds.reserve(shown.size());
  for (const MergeSetting* setting : shown) seeds.push_back(setting->seeds.size());
  return seeds_note(seeds);
}

std::string quantity_cell(const std::optional<Estimate>& estimate) {
  if (!estimate || !std::isfinite(estimate->mean)) return "";
  const double size = std::abs(estimate->mean);
  const int decimals = size >= 99.95    ? 0
                       : size >= 9.995  ? 1
                       : size >= 0.9995 ? 2
                       : size >= 0.01   ? 3
                                        : 4;
  if (!estimate->half_width) return written(estimate->mean, decimals);
  return written(estimate->mean, decimals) + " ± " + written(*estimate->half_width, decimals);
}

std::string score_cell(const std::optional<Estimate>& estimate) {
  if (!estimate || !std::isfinite(estimate->mean)) return "";
  if (!estimate->half_width) return written(estimate->mean, 1);
  return written(estimate->mean, 1) + " ± " + written(*estimate->half_width, 1);
}

Table merge_score_table(const MergePlace& place) {
  Table table = over_points(place, "Normalised decoding accuracy, %",
                            [](const MergeSetting& s) { return score_cell(s.score()); });
  table.notes.insert(table.notes.begin(), capitalised(normalized_decoding_definition) + ".");
  if (place.points.rbegin()->has_value())
    table.notes.push_back(
        "P: training images of each task that a method may look at. Fisher information, or what a "
        "method measures in its place, on the points of each model’s own task, or on as many of "
        "the "
        "union of all.");
  if (!place.has_other_weights() && !place.any().weights.empty())
    table.notes.push_back("β = " + written_weights(place.any()) + ".");
  return table;
}

Table merge_time_table(const MergePlace& place) {
  return over_points(place, "Time to merge, seconds",
                     [](const MergeSetting& s) { return quantity_cell(s.seconds()); });
}

Table merge_origin_table(const Experiment& experiment) {
  Table table{"The merges",
              {{"Models", "", false},
               {"Seed", "", true},
               {"Results", "", true},
               {"Time", "of merging", true},
               {"Commit", "", false},
               {"Device", "instruction set, threads", false},
               {"Command", "", false}},
              {},
              {}};
  struct Together {
    const MergeOutcome* first = nullptr;
    int results = 0;
    double seconds = 0;
  };
  std::vector<Together> commands;
  std::map<std::string, std::size_t> places;
  for (const MergeOutcome& merge : experiment.merges) {
    const std::string& by = merge.command.empty() ? merge.place : merge.command;
    const auto [at, is_new] = places.try_emplace(by, commands.size());
    if (is_new) commands.push_back({&merge});
    ++commands[at->second].results;
    commands[at->second].seconds += merge.value("seconds").value_or(0);
  }
  Section section;
  for (const Together& each : commands) {
    const MergeOutcome& m = *each.first;
    std::string device = m.device;
    if (!m.instruction_set.empty()) device += ", " + m.instruction_set;
    if (m.threads) device += fmt::format(", {}", *m.threads);
    section.rows.push_back({{written_place(m), std::to_string(m.seed), std::to_string(each.results),
                             elapsed(each.seconds), m.commit, device, m.command}});
  }
  if (!section.rows.empty()) table.sections.push_back(std::move(section));
  return table;
}

}  // namespace understudy::report
