#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "coding/merging/merge.h"
#include "kernels/check.h"
#include "tools/report/merge_tables.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

constexpr double mebibyte = 1 << 20;

bool looks_at_points(const MergeRow& row) {
  return std::any_of(row.settings.begin(), row.settings.end(),
                     [](const MergeSetting& s) { return s.any().points.has_value(); });
}

// What the method must be given beside the models; "" for a method that this version does not have.
std::string needs(const MergeOutcome& merge) {
  try {
    MergeNeeds needs = needs_of(merge.method);
    needs.labels = merge.fisher == "empirical";
    return to_string(needs);
  } catch (const UsageError&) {
    return "";
  }
}

std::optional<Estimate> task_accuracy(const MergeSetting& setting, std::size_t task,
                                      std::vector<double> MergeOutcome::*accuracies) {
  std::vector<double> values;
  for (const MergeOutcome* merge : setting.seeds)
    if (const auto& all = merge->*accuracies; task < all.size()) values.push_back(all[task]);
  return values.empty() ? std::nullopt : std::optional(estimate(values));
}

std::optional<Estimate> scaled(std::optional<Estimate> estimate, double factor) {
  if (!estimate) return estimate;
  estimate->mean *= factor;
  if (estimate->half_width) *estimate->half_width *= factor;
  return estimate;
}

}  // namespace

std::optional<std::int64_t> compared_points(const MergePlace& place) {
  constexpr double preferred = 1000;
  std::optional<std::int64_t> best;
  std::ptrdiff_t most = 0;
  const auto distance = [&](std::int64_t points) {
    return std::abs(std::log(static_cast<double>(points) / preferred));
  };
  for (const auto& points : place.points) {
    if (!points) continue;
    const std::ptrdiff_t rows =
        std::count_if(place.rows.begin(), place.rows.end(),
                      [&](const MergeRow& row) { return row.at(points) != nullptr; });
    if (rows > most || (rows == most && distance(*points) < distance(*best)))
      best = points, most = rows;
  }
  return best;
}

Table merge_cost_table(const MergePlace& place) {
  const auto points = compared_points(place);
  Table table{points ? "What each method gives and costs at " + written_points(points)
                     : "What each method gives and costs",
              {{"Method", "", false}},
              {},
              {}};
  const RowChoices choices(place);
  choices.add_columns(table.columns);
  table.columns.push_back({"Normalised", "decoding, %", true, "normalised"});
  table.columns.push_back({"Recovery", "%", true, "recovery"});
  const std::vector<std::string>& tasks = place.any().tasks;
  for (const std::string& task : tasks)
    table.columns.push_back({written_name(task), "late, right %", true, written_name(task)});
  table.columns.push_back({"Outputs’ error", "relative", true, "error"});
  table.columns.push_back({"Time", "s", true, "seconds"});
  table.columns.push_back({"Peak memory", "MiB", true, "MiB"});
  table.columns.push_back({"Needs", "", false});

  Section section;
  std::vector<const MergeSetting*> shown;
  Row models{{"the models themselves"}, true};
  choices.add_blank_cells(models.cells);
  models.cells.insert(models.cells.end(), {"100", "100"});
  for (std::size_t task = 0; task < tasks.size(); ++task)
    models.cells.push_back(percent_cell(
        task_accuracy(place.rows.front().settings.front(), task, &MergeOutcome::base_accuracies)));
  models.cells.resize(table.columns.size());
  section.rows.push_back(std::move(models));
  for (const MergeRow& row : place.rows) {
    const MergeSetting* setting = row.at(looks_at_points(row) ? points : std::nullopt);
    if (!setting) continue;
    shown.push_back(setting);
    Row line{{row.method()}, row.any().method == "average"};
    choices.add_cells(row, line.cells);
    line.cells.push_back(score_cell(setting->score()));
    line.cells.push_back(percent_cell(setting->value("recovery_accuracy")));
    for (std::size_t task = 0; task < tasks.size(); ++task)
      line.cells.push_back(
          percent_cell(task_accuracy(*setting, task, &MergeOutcome::decoded_accuracies)));
    line.cells.push_back(quantity_cell(setting->value("relative_output_error")));
    line.cells.push_back(quantity_cell(setting->seconds()));
    line.cells.push_back(quantity_cell(scaled(setting->value("peak_bytes"), 1 / mebibyte)));
    line.cells.push_back(needs(row.any()));
    section.rows.push_back(std::move(line));
  }
  table.sections.push_back(std::move(section));
  table.notes = {
      "Recovery: how often the reconstructed answer names the class that the late model itself "
      "would "
      "have named. Late, right: accuracy of the reconstructed answers on that task’s test images "
      "when its model does not answer. Outputs’ error: of the coded model’s answers against Σ β f, "
      "root mean square, relative. Needs: what the method is given beside the models.",
      seeds_note(shown)};
  return table;
}

}  // namespace understudy::report
