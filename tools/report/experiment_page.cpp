#include "tools/report/experiment_page.h"

#include <fmt/format.h>

#include <iterator>

#include "tools/report/experiment_charts.h"
#include "tools/report/experiment_tables.h"
#include "tools/report/markup.h"
#include "tools/report/merge_page.h"
#include "tools/report/table_block.h"

namespace understudy::report {
namespace {

// What was asked, with what, and what a budget left out.
void add_facts(std::string& out, const Experiment& experiment) {
  const auto add = [&](const char* what, const std::vector<std::string>& texts, bool code) {
    for (const std::string& text : texts)
      fmt::format_to(std::back_inserter(out), "<dt>{}</dt><dd>{}{}{}</dd>", what,
                     code ? "<code>" : "", escape(text), code ? "</code>" : "");
  };
  out += R"(<dl class="runs">)";
  if (!experiment.source.empty()) add("After", {experiment.source}, false);
  add("Known of it", experiment.notes, false);
  add("Machine", experiment.machines, false);
  add("Command", experiment.commands, true);
  out += "</dl>";
  if (experiment.settings && in_paper_layout(experiment) && experiment.merges.empty())
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
  for (const Table& table : experiment_tables(experiment)) out += html_block(table);
  if (const Table table = published_table(experiment); !table.empty()) out += html_block(table);
  if (const Table table = cost_table(experiment); is_long(table))
    out += folded_block(table, "dense");
  else if (!table.empty())
    fmt::format_to(std::back_inserter(out), R"(<div class="dense">{}</div>)", html_block(table));
  if (experiment.outcomes.empty() && experiment.merges.empty()) out += "<p>No result yet.</p>";
  add_charts(out, experiment);
  if (const Table table = origin_table(experiment); !table.empty())
    out += folded_block(table, "facts");
  out += merge_part(experiment);
  return out + "</section>\n";
}

std::string experiment_summary(const Experiment& experiment) {
  std::string out = printable(experiment.title) + "\n\n";
  for (const std::string& note : experiment.notes)
    for (const std::string& line : wrapped(printable(note), 96)) out += line + "\n";
  if (!experiment.notes.empty()) out += "\n";
  std::vector<Table> tables = experiment_tables(experiment);
  if (Table table = cost_table(experiment); !is_long(table)) tables.push_back(std::move(table));
  for (const Table& table : tables)
    if (!table.empty()) out += plain_block(table);
  return out + merge_summary(experiment);
}

}  // namespace understudy::report
