#include <fmt/format.h>

#include <algorithm>

#include "tools/report/markup.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

constexpr double shares[] = {0.01, 0.05, 0.10};  // of late answers, in the table

const std::vector<std::string> notes = {
    "All answer: accuracy on the test set when no machine is late. Reconstructed answer: accuracy "
    "over the answers that were taken away on purpose, each of a group in turn, and worked out "
    "from the others. Recovery-accuracy: how often that names the class which the model itself "
    "would have named, right or wrong.",
    "f % late: the accuracy that users see when f per cent of the answers do not arrive, "
    "A(f) = (1 − f) · A(all answer) + f · A(reconstructed). With no spare machine the most "
    "frequent class is guessed for a missing answer; a replica’s answer is the model’s own.",
    "Extra machines: r / k for a code, 100 % for replication; for r = 1 either survives any one "
    "loss in a group. Encode and decode: time for one group of k queries, median.",
};

void add_shares(Row& row, double available, std::optional<double> degraded) {
  for (const double f : shares)
    row.cells.push_back(degraded ? percent(accuracy_with_late(available, *degraded, f))
                                 : percent({}));
}

Section baselines(const CodeResult& code) {
  const double lost = code.guessed.value_or(0);
  Row none{{"No spare machine", percent(code.available), percent(lost), percent({})}, true};
  add_shares(none, code.available, lost);
  none.cells.insert(none.cells.end(), {"0 %", "–", "–"});
  Row twice{{"Replication: every query twice", percent(code.available), percent(code.available),
             percent(1.0)},
            true};
  add_shares(twice, code.available, code.available);
  twice.cells.insert(twice.cells.end(), {"100 %", "0", "0"});
  return {code.base, {std::move(none), std::move(twice)}};
}

}  // namespace

Table code_table(const std::vector<CodeResult>& results) {
  Table table{
      "Queries: one machine of a group does not answer",
      {{"Protection", "", false, ""},
       {"All answer", "accuracy", true, "accuracy when all machines answer"},
       {"Recon\u00adstructed answer", "accuracy", true, "accuracy of a reconstructed answer"},
       {"Same as the model’s own", "recovery-accuracy", true, "recovery-accuracy"},
       {"1\u00a0%\u00a0late", "accuracy", true, "accuracy, 1 % late"},
       {"5\u00a0%\u00a0late", "accuracy", true, "accuracy, 5 % late"},
       {"10\u00a0%\u00a0late", "accuracy", true, "accuracy, 10 % late"},
       {"Extra machines", "", true, "extra machines"},
       {"Encode", "µs a\u00a0group", true, "encode, µs a group"},
       {"Decode", "µs a\u00a0group", true, "decode, µs a group"}},
      {},
      notes};
  table.turned_in_plain_text = true;
  for (const CodeResult& code : results) {
    auto section = std::find_if(table.sections.begin(), table.sections.end(),
                                [&](const Section& s) { return s.title == code.base; });
    if (section == table.sections.end()) section = table.sections.insert(section, baselines(code));
    Row row{{code.name, percent(code.available), percent(code.overall), percent(code.recovery)},
            false};
    add_shares(row, code.available, code.overall);
    row.cells.push_back(extra_machines(code.k, code.r));
    row.cells.push_back(microseconds(code.encode_us));
    row.cells.push_back(microseconds(code.decode_us));
    section->rows.push_back(std::move(row));
  }
  return table;
}

Chart late_chart(const std::vector<CodeResult>& results) {
  Chart chart{.title = "What users see as answers go missing",
              .x_label = "late answers, %",
              .y_label = "accuracy, %"};
  chart.x_scale = Scale::linear;
  if (results.empty()) return chart;
  const auto line = [&](const std::string& name, double available, double degraded, int colour,
                        bool dashed) {
    Series series{.name = name, .colour = colour, .dashed = dashed};
    for (int late = 0; late <= 10; ++late) {
      series.x.push_back(late);
      series.y.push_back(100 * accuracy_with_late(available, degraded, late / 100.0));
    }
    chart.series.push_back(std::move(series));
  };
  const CodeResult& first = results.front();
  line("replication", first.available, first.available, 4, true);
  int colour = 0;
  for (const CodeResult& code : results)
    if (code.base == first.base && code.overall && colour < 4)
      line(code.name, code.available, *code.overall, colour++, false);
  line("no spare machine", first.available, first.guessed.value_or(0), 5, true);
  return chart;
}

}  // namespace understudy::report
