#include "tools/report/merge_page.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "tools/report/markup.h"
#include "tools/report/merge_charts.h"
#include "tools/report/merge_findings.h"
#include "tools/report/merge_settings.h"
#include "tools/report/merge_tables.h"
#include "tools/report/table_block.h"

namespace understudy::report {
namespace {

constexpr int place_level = 3, table_level = 4;

std::vector<Table> tables_of(const MergePlace& place) {
  return {merge_score_table(place), merge_time_table(place), merge_cost_table(place)};
}

void add_charts(std::string& out, const MergePlace& place) {
  const std::vector<Chart> charts = merge_charts(place);
  if (charts.empty()) return;
  out += R"(<div class="charts">)";
  for (const Chart& chart : charts) out += figure(chart);
  out +=
      R"(</div><p class="note">Bars and bands: 95 % intervals over seeds. Numbers at the ends of a )"
      "line over seconds: P. A method stands for itself with Fisher information, data, damping and "
      "weights as the paper has them, where it was run so.</p>";
}

}  // namespace

std::string merge_part(const Experiment& experiment) {
  std::string out;
  for (const MergePlace& place : merge_places(experiment)) {
    fmt::format_to(std::back_inserter(out), "<h{0}>{1}</h{0}>", place_level, escape(place.title));
    for (const std::string& finding : merge_findings(place))
      fmt::format_to(std::back_inserter(out), "<p>{}</p>", escape(finding));
    add_charts(out, place);
    out += R"(<div class="dense">)";
    for (const Table& table : tables_of(place)) out += html_block(table, table_level);
    out += "</div>";
  }
  if (const Table table = merge_origin_table(experiment); !table.empty())
    out += folded_block(table, "facts");
  return out;
}

std::string merge_summary(const Experiment& experiment) {
  std::string out;
  for (const MergePlace& place : merge_places(experiment)) {
    out += printable(place.title) + "\n\n";
    for (const Table& table : tables_of(place)) out += plain_block(table);
    for (const std::string& finding : merge_findings(place))
      for (const std::string& line : wrapped(printable(finding), 96)) out += line + "\n";
    out += "\n";
  }
  return out;
}

}  // namespace understudy::report
