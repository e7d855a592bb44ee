#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tools/report/experiment_tables.h"
#include "tools/report/markup.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

struct Units {
  int r = 0, k = 0;
  auto operator<=>(const Units&) const = default;
};

// A code over one base model and data set, in the order of tables.
struct RowKey {
  std::string dataset, base;
  int rank = 0, encoder = 0, loss = 0;  // the ranks of the code and its parts
  std::string name;

  auto order() const {
    return std::make_tuple(dataset_rank(dataset), dataset, base_rank(base), base, rank, encoder,
                           loss, name);
  }
  bool operator<(const RowKey& other) const { return order() < other.order(); }
};

RowKey row_of(const Outcome& o) {
  return {o.dataset,         o.base,         code_rank(o.code), encoder_rank(o.encoder),
          loss_rank(o.loss), written_code(o)};
}

RowKey row_of(const Published& p) {
  return row_of(Outcome{
      .dataset = p.dataset, .base = p.base, .code = p.code, .encoder = p.encoder, .loss = p.loss});
}

struct Grid {
  std::map<RowKey, std::map<Units, const Setting*>> cells;
  std::map<RowKey, std::map<Units, const Published*>> published;
  std::set<RowKey> rows;
  std::set<Units> units, units_published;
};

Grid grid_of(const Experiment& experiment, const std::vector<Setting>& settings,
             const std::string& metric) {
  Grid grid;
  for (const Setting& setting : settings) {
    const Outcome& o = setting.any();
    const Setting*& cell = grid.cells[row_of(o)][{shown_r(o), o.k}];
    if (!cell || shown_before(setting, *cell)) cell = &setting;
    grid.rows.insert(row_of(o));
    if (o.code != "none") grid.units.insert({shown_r(o), o.k});
  }
  for (const Published& p : experiment.published) {
    if (p.metric != metric || p.k == 0) continue;
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

}  // namespace

Table comparison_table(const Experiment& experiment, const std::vector<Setting>& settings,
                       const std::string& metric) {
  const Grid grid = grid_of(experiment, settings, metric);
  Table table{written_metric(metric) + ", %", {{"Code", "", false}}, {}, {}};
  for (const Units& units : grid.units) {
    table.columns.push_back({written(units), fmt::format("r\u00a0=\u00a0{}", units.r), true});
    if (grid.units_published.contains(units))
      table.columns.push_back({written(units), "published", true, "", true, true});
  }
  Footnotes footnotes;
  std::vector<const Setting*> shown;
  for (const RowKey& key : grid.rows) {
    const std::string title = place_of(Outcome{.dataset = key.dataset, .base = key.base});
    if (table.sections.empty() || table.sections.back().title != title)
      table.sections.push_back({title, {}});
    Row row{{key.name}, key.rank <= code_rank("replication"), {""}};
    for (const Units& units : grid.units) {
      const Setting* setting = found(grid.cells, key, units, static_cast<const Setting*>(nullptr));
      const auto value = setting ? setting->value(metric) : std::nullopt;
      row.cells.push_back(percent_cell(value));
      row.marks.push_back(value ? footnotes.mark(setting->remark()) : "");
      if (value) shown.push_back(setting);
      if (!grid.units_published.contains(units)) continue;
      const Published* figure =
          found(grid.published, key, units, static_cast<const Published*>(nullptr));
      row.cells.push_back(figure ? fmt::format("{:.2f}", 100 * figure->value) : "");
      row.marks.push_back(figure ? footnotes.mark(figure->note) : "");
    }
    table.sections.back().rows.push_back(std::move(row));
  }
  table.notes = footnotes.notes();
  if (!shown.empty()) table.notes.push_back(seeds_note(shown));
  return table;
}

Table cost_table(const Experiment& experiment) {
  Table table{"What each code gives and costs",
              {{"Code", "", false},
               {"k", "", true},
               {"r", "", true},
               {"All answer", "accuracy, %", true, "all"},
               {"Recon\u00adstructed", "right, %", true, "rebuilt"},
               {"Recovery", "%", true},
               {"1\u00a0%\u00a0late", "accuracy, %", true, "1 % late"},
               {"5\u00a0%\u00a0late", "accuracy, %", true, "5 % late"},
               {"10\u00a0%\u00a0late", "accuracy, %", true, "10 % late"},
               {"Logits’ error", "squared", true, "error"},
               {"Extra machines", "%", true, "extra %"},
               {"Encode", "µs a\u00a0group", true, "encode µs"},
               {"Decode", "µs a\u00a0group", true, "decode µs"},
               {"Encoder / model", "multiply-adds", true, "arithmetic"}},
              {},
              {}};
  if (in_paper_layout(experiment)) return table;
  Footnotes footnotes;
  const std::vector<Setting> settings = settings_of(experiment);
  std::vector<const Setting*> shown;
  for (const Setting& setting : settings) {
    const Outcome& o = setting.any();
    const std::string title = place_of(o);
    if (table.sections.empty() || table.sections.back().title != title)
      table.sections.push_back({title, {}});
    Row row{{written_code(o), fmt::format("{}", o.k), fmt::format("{}", shown_r(o))},
            is_baseline(o),
            {}};
    for (const char* key :
         {"accuracy", "overall_accuracy", "recovery_accuracy", "accuracy_1_percent_unavailable",
          "accuracy_5_percent_unavailable", "accuracy_10_percent_unavailable"})
      row.cells.push_back(percent_cell(setting.value(key)));
    const auto error = setting.value("squared_error"), encode = setting.value("encode_us"),
               decode = setting.value("decode_us");
    const auto arithmetic = setting.arithmetic();
    row.cells.push_back(error ? fmt::format("{:.3g}", error->mean) : "");
    row.cells.push_back(fmt::format("{:.3g}", setting.extra_machines()));
    row.cells.push_back(encode ? microseconds(encode->mean) : "");
    row.cells.push_back(decode ? microseconds(decode->mean) : "");
    row.cells.push_back(arithmetic ? fmt::format("{:.3g}", *arithmetic) : "");
    row.marks.resize(row.cells.size());
    row.marks.front() = footnotes.mark(setting.remark());
    shown.push_back(&setting);
    table.sections.back().rows.push_back(std::move(row));
  }
  table.notes = footnotes.notes();
  table.notes.push_back(
      "Reconstructed: accuracy of the answers that were worked out from others, over every pattern "
      "of up to r machines that do not answer. Recovery: how often they name the class that the "
      "model itself would have named. f % late: what users see when f per cent of the answers are "
      "reconstructed. Logits’ error: squared, summed over the classes. Encoder / model: "
      "multiply-adds of encoding a group over those of one answer of the base model.");
  if (!shown.empty()) table.notes.push_back(seeds_note(shown));
  return table;
}

}  // namespace understudy::report
