#include "tools/report/experiment_page.h"

#include <fmt/format.h>

#include <iterator>

#include "tools/report/experiment_charts.h"
#include "tools/report/experiment_tables.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

std::size_t rows_of(const Table& table) {
  std::size_t rows = 0;
  for (const Section& section : table.sections) rows += section.rows.size();
  return rows;
}

// Too long to stand open on a page, and to be printed at all.
bool is_long(const Table& table) { return rows_of(table) > 40; }

std::string notes_of(const Table& table) {
  std::string notes;
  for (const std::string& note : table.notes)
    fmt::format_to(std::back_inserter(notes), R"(<p class="note">{}</p>)", escape(note));
  return notes.empty() ? "" : R"(<div class="notes">)" + notes + "</div>";
}

std::string drawn(const Table& table) {
  return fmt::format("<h3>{}</h3>{}{}", escape(table.title), html(table), notes_of(table));
}

// To be opened by the reader.
void add_folded(std::string& out, const Table& table, const char* kind) {
  fmt::format_to(std::back_inserter(out),
                 R"(<details class="{}"><summary>{}: {} rows</summary>{}{}</details>)", kind,
                 escape(table.title), rows_of(table), html(table), notes_of(table));
}

// What was asked, with what, and what a budget left out.
void add_facts(std::string& out, const Experiment& experiment) {
  const auto add = [&](const char* what, const std::vector<std::string>& texts, bool code) {
    for (const std::string& text : texts)
      fmt::format_to(std::back_inserter(out), "<dt>{}</dt><dd>{}{}{}</dd>", what,
                     code ? "<code>" : "", escape(text), code ? "</code>" : "");
  };
  out += R"(<dl class="runs">)";
  if (!experiment.source.empty()) add("After", {experiment.source}, false);
  add("Machine", experiment.machines, false);
  add("Command", experiment.commands, true);
  out += "</dl>";
  if (experiment.settings && in_paper_layout(experiment))
    fmt::format_to(std::back_inserter(out), "<p>{} of {} settings have a result.</p>",
                   settings_of(experiment).size(), *experiment.settings);
  if (experiment.cut.empty()) return;
  out += "<p>Cut, to fit the time there was:</p><ul>";
  for (const std::string& cut : experiment.cut)
    fmt::format_to(std::back_inserter(out), "<li>{}</li>", escape(cut));
  out += "</ul>";
}

void add_charts(std::string& out, const Experiment& experiment) {
  const std::vector<Chart> charts = experiment_charts(experiment);
  if (charts.empty()) return;
  out += R"(<h3>Charts</h3><div class="charts">)";
  for (const Chart& chart : charts) out += figure(chart);
  out += R"(</div><p class="note">Bars: 95 % intervals over seeds. Diamonds: published figures. )"
         "What was cut is drawn as it is; the tables mark it.</p>";
}

}  // namespace

std::string experiment_section(const Experiment& experiment) {
  std::string out =
      fmt::format(R"(<section class="results experiment"><h2>{}</h2>)", escape(experiment.title));
  add_facts(out, experiment);
  for (const Table& table : experiment_tables(experiment)) out += drawn(table);
  if (const Table table = published_table(experiment); !table.empty()) out += drawn(table);
  if (const Table table = cost_table(experiment); is_long(table))
    add_folded(out, table, "dense");
  else if (!table.empty())
    fmt::format_to(std::back_inserter(out), R"(<div class="dense">{}</div>)", drawn(table));
  if (experiment.outcomes.empty()) out += "<p>No result yet.</p>";
  add_charts(out, experiment);
  if (const Table table = origin_table(experiment); !table.empty()) add_folded(out, table, "facts");
  return out + "</section>\n";
}

std::string experiment_summary(const Experiment& experiment) {
  std::string out = printable(experiment.title) + "\n\n";
  std::vector<Table> tables = experiment_tables(experiment);
  if (Table table = cost_table(experiment); !is_long(table)) tables.push_back(std::move(table));
  for (const Table& table : tables) {
    if (table.empty()) continue;
    out += plain(table);
    for (const std::string& note : table.notes)
      for (const std::string& line : wrapped(printable(note), 96)) out += line + "\n";
    out += "\n";
  }
  return out;
}

}  // namespace understudy::report
