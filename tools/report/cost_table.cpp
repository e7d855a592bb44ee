#include <fmt/format.h>

#include "tools/report/experiment_tables.h"
#include "tools/report/markup.h"

namespace understudy::report {

Table cost_table(const Experiment& experiment) {
  Table table{"What each code gives and costs",
              {{"Code", "", false},
               {"k", "", true},
               {"r", "", true},
               {"All answer", "accuracy, %", true, "all"},
               {"Recon\u00adstructed", "right, %", true, "rebuilt"},
               {"Recovery", "%", true},
               {"One late", "group, %", true, "one late"},
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
    for (const char* key : {"accuracy", "overall_accuracy", "recovery_accuracy", "group_accuracy",
                            "accuracy_1_percent_unavailable", "accuracy_5_percent_unavailable",
                            "accuracy_10_percent_unavailable"})
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
      "model itself would have named. One late: accuracy of all answers of a group when one of its "
      "machines does not answer, each as likely; a code that is not systematic reconstructs them "
      "all. f % late: what users see when f per cent of the answers are "
      "reconstructed. Logits’ error: squared, summed over the classes. Encoder / model: "
      "multiply-adds of encoding a group over those of one answer of the base model.");
  if (!shown.empty()) table.notes.push_back(seeds_note(shown));
  return table;
}

}  // namespace understudy::report
