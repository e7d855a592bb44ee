#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tools/report/experiment_tables.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

// In the order of the table.
struct RowKey {
  std::string dataset, base, channels;
  int r = 0, k = 0;

  auto order() const {
    return std::make_tuple(dataset_rank(dataset), dataset, base_rank(base), base, channels, r, k);
  }
  bool operator<(const RowKey& other) const { return order() < other.order(); }
  bool about(const Published& p) const {
    return std::tie(dataset, base, r, k) == std::tie(p.dataset, p.base, p.r, p.k);
  }
};

struct ColumnKey {
  std::string encoder, loss;

  auto order() const {
    return std::make_tuple(encoder_rank(encoder), encoder, loss_rank(loss), loss);
  }
  bool operator<(const ColumnKey& other) const { return order() < other.order(); }
};

struct Grid {
  std::set<RowKey> rows;
  std::set<ColumnKey> columns;
  std::map<RowKey, std::map<ColumnKey, const Setting*>> cells;
  std::vector<std::string> published;  // headings of their columns
  bool more_than_shown = false;        // settings of a cell that shows another
};

std::string heading(const Published& p) {
  return written_code({.code = p.code, .encoder = p.encoder, .loss = p.loss});
}

// The paper has two encoders and three losses; what of these was not run is an empty column. False,
// and nothing is added, where one loss alone was run and nothing published: another question.
bool complete_columns(std::set<ColumnKey>& columns, const Experiment& experiment) {
  std::set<std::string> losses;
  for (const ColumnKey& column : columns) losses.insert(column.loss);
  if (losses.size() == 1 && experiment.published.empty()) return false;
  for (const char* encoder : {"mlp", "conv"})
    for (const char* loss : {"mse", "kl", "xent"}) columns.insert({encoder, loss});
  return true;
}

// Likewise every k for every data set and base model.
void complete_rows(std::set<RowKey>& rows) {
  const std::set<RowKey> seen = rows;
  for (const RowKey& where : seen)
    for (const RowKey& other : seen)
      if (where.r == 1 && other.r == 1)
        rows.insert({where.dataset, where.base, where.channels, 1, other.k});
}

Grid grid_of(const Experiment& experiment, const std::vector<Setting>& settings,
             const std::string& metric) {
  Grid grid;
  const bool several =
      std::any_of(experiment.outcomes.begin(), experiment.outcomes.end(),
                  [](const Outcome& o) { return !o.channels.empty() && o.channels != "aligned"; });
  for (const Setting& setting : settings) {
    const Outcome& o = setting.any();
    if (is_baseline(o)) continue;
    const RowKey row{o.dataset, o.base, several ? o.channels : "", o.r, o.k};
    const ColumnKey column{o.encoder, o.loss};
    grid.rows.insert(row);
    grid.columns.insert(column);
    const Setting*& cell = grid.cells[row][column];
    grid.more_than_shown = grid.more_than_shown || cell;
    if (!cell || shown_before(setting, *cell)) cell = &setting;
  }
  const bool whole = complete_columns(grid.columns, experiment);
  for (const Published& p : experiment.published) {
    if (p.k == 0 || p.dataset.empty() || (p.metric != metric && !whole)) continue;
    if (std::none_of(grid.rows.begin(), grid.rows.end(),
                     [&](const RowKey& row) { return row.about(p); }))
      grid.rows.insert({p.dataset, p.base, "", p.r, p.k});
    if (p.metric == metric &&
        std::find(grid.published.begin(), grid.published.end(), heading(p)) == grid.published.end())
      grid.published.push_back(heading(p));
  }
  if (whole) complete_rows(grid.rows);
  return grid;
}

// One figure for a row, or the range where its settings differ: base models may be several.
std::string range_cell(const std::map<ColumnKey, const Setting*>& cells, const std::string& key) {
  double low = 2, high = -1;
  for (const auto& [column, setting] : cells)
    if (const auto value = setting->value(key))
      low = std::min(low, value->mean), high = std::max(high, value->mean);
  if (high < low) return "";
  const std::string first = fmt::format("{:.2f}", 100 * low),
                    last = fmt::format("{:.2f}", 100 * high);
  return first == last ? first : fmt::format("{}–{}", first, last);
}

std::string row_name(const RowKey& key) {
  return written_base(key.base) + (key.channels.empty() ? "" : ", " + key.channels);
}

}  // namespace

Table paper_table(const Experiment& experiment, const std::vector<Setting>& settings,
                  const std::string& metric) {
  const Grid grid = grid_of(experiment, settings, metric);
  const bool overall = metric == "overall_accuracy";
  const bool several_r =
      std::any_of(grid.rows.begin(), grid.rows.end(), [](const RowKey& row) { return row.r != 1; });
  const bool base_published = overall && std::any_of(experiment.published.begin(),
                                                     experiment.published.end(), of_base_model);
  Table table{written_metric(metric) + ", %", {{"Base model", "", false}, {"k", "", true}}, {}, {}};
  if (several_r) table.columns.push_back({"r", "", true});
  if (overall) {
    table.columns.push_back({"All answer", "base model", true, "all answer"});
    if (base_published) table.columns.push_back({"All answer", "published", true, "", true, true});
    table.columns.push_back({"No code", "a guess", true, "no code"});
  }
  for (const ColumnKey& column : grid.columns)
    table.columns.push_back({written_encoder(column.encoder), written_loss(column.loss), true});
  for (const std::string& name : grid.published)
    table.columns.push_back({name, "published", true, "", true, true});

  Footnotes footnotes;
  std::vector<const Setting*> shown;
  for (const RowKey& key : grid.rows) {
    const std::string title = written_name(key.dataset);
    if (table.sections.empty() || table.sections.back().title != title)
      table.sections.push_back({title, {}});
    Row row{{row_name(key), fmt::format("{}", key.k)}};
    if (several_r) row.cells.push_back(fmt::format("{}", key.r));
    const auto found = grid.cells.find(key);
    const auto cells =
        found == grid.cells.end() ? std::map<ColumnKey, const Setting*>{} : found->second;
    if (overall) row.cells.push_back(range_cell(cells, "accuracy"));
    if (base_published) {
      const auto at = std::find_if(
          experiment.published.begin(), experiment.published.end(), [&](const Published& p) {
            return of_base_model(p) && p.dataset == key.dataset && p.base == key.base;
          });
      const bool known = at != experiment.published.end();
      row.cells.push_back(known ? fmt::format("{:.2f}", 100 * at->value) : "");
    }
    if (overall) row.cells.push_back(range_cell(cells, "no_code_accuracy"));
    row.marks.resize(row.cells.size());
    for (const ColumnKey& column : grid.columns) {
      const auto at = cells.find(column);
      const auto value = at == cells.end() ? std::nullopt : at->second->value(metric);
      row.cells.push_back(percent_cell(value));
      row.marks.push_back(value ? footnotes.mark(at->second->remark()) : "");
      if (value) shown.push_back(at->second);
    }
    for (const std::string& name : grid.published) {
      const auto at = std::find_if(
          experiment.published.begin(), experiment.published.end(), [&](const Published& p) {
            return p.metric == metric && key.about(p) && heading(p) == name;
          });
      const bool known = at != experiment.published.end();
      row.cells.push_back(known ? fmt::format("{:.2f}", 100 * at->value) : "");
      row.marks.push_back(known ? footnotes.mark(at->note) : "");
    }
    table.sections.back().rows.push_back(std::move(row));
  }
  table.notes = footnotes.notes();
  if (!shown.empty()) table.notes.push_back(seeds_note(shown));
  if (grid.more_than_shown)
    table.notes.push_back(
        "Of a setting that was run with more than one cut, the least cut is shown; the list of "
        "runs "
        "has all.");
  return table;
}

}  // namespace understudy::report
