#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tools/report/experiment_tables.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

struct Units {
  int r = 0, k = 0;
  bool operator<(const Units& other) const { return std::tie(r, k) < std::tie(other.r, other.k); }
};

// A code over one base model and data set, in the order of tables.
struct RowKey {
  std::string dataset, base;
  std::tuple<int, int, int, std::string> code;

  auto order() const {
    return std::make_tuple(dataset_rank(dataset), dataset, base_rank(base), base, code);
  }
  bool operator<(const RowKey& other) const { return order() < other.order(); }
};

RowKey row_of(const Outcome& o) { return {o.dataset, o.base, code_order(o)}; }

RowKey row_of(const Published& p) {
  return row_of(Outcome{
      .dataset = p.dataset, .base = p.base, .code = p.code, .encoder = p.encoder, .loss = p.loss});
}

struct Grid {
  std::string metric;
  std::map<RowKey, std::map<Units, const Setting*>> cells;
  std::map<RowKey, std::map<Units, const Published*>> published;
  std::set<RowKey> rows;
  std::set<Units> units, units_published;
};

Grid grid_of(const Experiment& experiment, const std::vector<Setting>& settings,
             const std::string& metric) {
  Grid grid{.metric = metric};
  for (const Setting& setting : settings) {
    const Outcome& o = setting.any();
    const Setting*& cell = grid.cells[row_of(o)][{shown_r(o), o.k}];
    if (!cell || shown_before(setting, *cell)) cell = &setting;
    grid.rows.insert(row_of(o));
    if (o.code != "none") grid.units.insert({shown_r(o), o.k});
  }
  for (const Published& p : experiment.published) {
    if (p.metric != metric || p.k == 0 || p.dataset.empty()) continue;
    grid.published[row_of(p)][{p.r, p.k}] = &p;
    grid.rows.insert(row_of(p));
    grid.units.insert({p.r, p.k});
    grid.units_published.insert({p.r, p.k});
  }
  // Without a code every r is the same.
  for (auto& [row, cells] : grid.cells) {
    const std::map<Units, const Setting*> recorded = cells;
    for (const auto& [units, setting] : recorded) {
      if (setting->any().code != "none") continue;
      bool shown = false;
      for (const Units& other : grid.units)
        if (other.k == units.k) cells.insert({other, setting}), shown = true;
      if (!shown) grid.units.insert(units);
    }
  }
  return grid;
}

std::string written(const Units& units) { return fmt::format("k\u00a0=\u00a0{}", units.k); }

template <class Cells, class Value>
Value found(const Cells& cells, const RowKey& row, const Units& units, Value otherwise) {
  const auto at = cells.find(row);
  if (at == cells.end()) return otherwise;
  const auto cell = at->second.find(units);
  return cell == at->second.end() ? otherwise : cell->second;
}

Table comparison_table(const Grid& grid, const std::set<Units>& columns, const std::string& title) {
  Table table{title, {{"Code", "", false}}, {}, {}};
  for (const Units& units : columns) {
    table.columns.push_back({written(units), fmt::format("r\u00a0=\u00a0{}", units.r), true});
    if (grid.units_published.contains(units))
      table.columns.push_back({written(units), "published", true, "", true, true});
  }
  Footnotes footnotes;
  std::vector<const Setting*> shown;
  for (const RowKey& key : grid.rows) {
    const auto& [rank, encoder, loss, name] = key.code;
    Row row{{name}, rank <= code_rank("replication"), {""}};
    for (const Units& units : columns) {
      const Setting* setting = found(grid.cells, key, units, static_cast<const Setting*>(nullptr));
      const auto value = setting ? setting->value(grid.metric) : std::nullopt;
      row.cells.push_back(percent_cell(value));
      row.marks.push_back(value ? footnotes.mark(setting->remark()) : "");
      if (value) shown.push_back(setting);
      if (!grid.units_published.contains(units)) continue;
      const Published* figure =
          found(grid.published, key, units, static_cast<const Published*>(nullptr));
      row.cells.push_back(figure ? fmt::format("{:.2f}", 100 * figure->value) : "");
      row.marks.push_back(figure ? footnotes.mark(figure->note) : "");
    }
    if (std::all_of(row.cells.begin() + 1, row.cells.end(),
                    [](const std::string& cell) { return cell.empty(); }))
      continue;
    const std::string section = place_of(Outcome{.dataset = key.dataset, .base = key.base});
    if (table.sections.empty() || table.sections.back().title != section)
      table.sections.push_back({section, {}});
    table.sections.back().rows.push_back(std::move(row));
  }
  // Guessing has no r, so it would be alone in tables of an r for which nothing was run.
  const auto only_guesses = [](const Section& section) {
    return std::all_of(section.rows.begin(), section.rows.end(),
                       [](const Row& row) { return row.rival; });
  };
  if (!std::all_of(table.sections.begin(), table.sections.end(), only_guesses))
    std::erase_if(table.sections, only_guesses);
  table.notes = footnotes.notes();
  if (!shown.empty()) table.notes.push_back(seeds_note(shown));
  return table;
}

}  // namespace

std::vector<Table> comparison_tables(const Experiment& experiment,
                                     const std::vector<Setting>& settings,
                                     const std::string& metric) {
  constexpr std::size_t most_columns = 9;
  const Grid grid = grid_of(experiment, settings, metric);
  const std::string title = written_metric(metric) + ", %";
  if (grid.units.size() <= most_columns) return {comparison_table(grid, grid.units, title)};
  std::map<int, std::set<Units>> by_r;
  for (const Units& units : grid.units) by_r[units.r].insert(units);
  std::vector<Table> tables;
  tables.reserve(by_r.size());
  for (const auto& [r, columns] : by_r)
    tables.push_back(
        comparison_table(grid, columns, fmt::format("{}, r\u00a0=\u00a0{}", title, r)));
  return tables;
}

}  // namespace understudy::report
