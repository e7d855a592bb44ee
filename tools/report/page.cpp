#include "tools/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tools/report/chart.h"
#include "tools/report/experiment_page.h"
#include "tools/report/markup.h"
#include "tools/report/pictures.h"
#include "tools/report/results.h"
#include "tools/report/results_file.h"
#include "tools/report/style.h"

namespace understudy::report {
namespace {

constexpr const char* opening = R"(
<p>A service that answers questions with a neural network spreads them over many machines, and now and
then one of these is slow or gone. The usual remedy is to ask everything twice, at twice the cost.
<em>Coded inference</em> keeps an understudy instead: a small encoder blends <em>k</em> questions into
one extra <em>parity</em> question, the same network answers that one too, and when one of the
<em>k</em> answers does not arrive, a small decoder works it out from those that did.</p>
<p>An answer reconstructed in this way is a good guess, not a copy. This page says how good a guess it
is, and what it costs.</p>
)";

// "validation_recovery_accuracy" is the series "validation recovery" of the accuracies; "" when the
// metric is not of that kind. The squared error that an MSE loss minimises is a loss as well.
std::string series_name(const Run& run, std::string key, bool accuracies) {
  if (!accuracies && key.ends_with("_squared_error") && text(run, "loss") == "mse")
    key.replace(key.size() - 13, 13, "loss");
  const std::string kind = accuracies ? "accuracy" : "loss";
  if (!key.ends_with(kind)) return "";
  if (key == kind) return kind;
  std::string name = key.substr(0, key.size() - kind.size() - 1);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// Training first, then validation, then test, then what a program adds of its own.
int rank(const std::string& name) {
  const char* order[] = {"train", "validation", "test"};
  for (int i = 0; i < 3; ++i)
    if (name.starts_with(order[i])) return i;
  return 3;
}

Chart curves(const Run& run, bool accuracies) {
  Chart chart{.title = accuracies ? "Accuracy" : "Loss",
              .x_label = "epoch",
              .y_label = accuracies                   ? "accuracy, %"
                         : text(run, "loss") == "mse" ? "squared error, summed over the logits"
                                                      : "loss, nats",
              .may_use_log = !accuracies};
  if (run.program() == "merge_models") return chart;  // its lines are methods, not epochs
  for (const auto& epoch : run.epochs)
    for (const auto& [key, value] : epoch.items()) {
      const std::string name = series_name(run, key, accuracies);
      if (name.empty() || !value.is_number() || !number(epoch, "epoch")) continue;
      auto at = std::find_if(chart.series.begin(), chart.series.end(),
                             [&](const Series& s) { return s.name == name; });
      if (at == chart.series.end()) at = chart.series.insert(at, Series{.name = name});
      at->x.push_back(*number(epoch, "epoch"));
      at->y.push_back(value.get<double>() * (accuracies ? 100 : 1));
    }
  std::stable_sort(chart.series.begin(), chart.series.end(),
                   [](const Series& a, const Series& b) { return rank(a.name) < rank(b.name); });
  int colour = 0;
  for (Series& s : chart.series) {
    s.colour = colour++ % 6;
    s.dashed = rank(s.name) == 1 && rank(chart.series.front().name) == 0;
  }
  return chart;
}

void add_head(std::string& out) {
  fmt::format_to(std::back_inserter(out),
                 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                 "<meta name=\"color-scheme\" content=\"light dark\">"
                 "<title>understudy: what happens when a machine does not answer</title>"
                 "<style>{}</style></head><body><main>\n"
                 "<p class=\"mark\">understudy</p>"
                 "<h1>What happens when a machine does not answer</h1>\n"
                 "<div class=\"lede\"><div>{}</div><div>{}</div></div>\n",
                 style_sheet(), opening, group_diagram());
}

void add_glance(std::string& out, const std::vector<CodeResult>& codes) {
  const CodeResult* best = best_code(codes);
  if (!best) return;
  fmt::format_to(
      std::back_inserter(out),
      "<dl class=\"figures\">"
      "<div><dt>right when every machine answers</dt><dd>{}</dd></div>"
      "<div><dt>right when an answer is lost and reconstructed</dt><dd class=\"good\">{}</dd></div>"
      "<div><dt>more machines for the code</dt><dd class=\"good\">{}</dd></div>"
      "<div><dt>more machines to ask everything twice</dt><dd>100 %</dd></div></dl>\n",
      percent(best->available, 1), percent(best->overall, 1), extra_machines(best->k, best->r));
}

// `beside`: a figure that takes the notes to its right.
void add_table(std::string& out, const Table& table, const char* kind,
               const std::string& beside = "") {
  if (table.empty()) return;
  std::string notes;
  for (const std::string& note : table.notes)
    fmt::format_to(std::back_inserter(notes), R"(<p class="note">{}</p>)", escape(note));
  if (!beside.empty())
    notes = fmt::format(R"(<div class="beside">{}<div>{}</div></div>)", beside, notes);
  fmt::format_to(std::back_inserter(out), R"(<section class="{}"><h2>{}</h2>{}{}</section>)", kind,
                 escape(table.title), html(table), notes);
}

void add_curves(std::string& out, const std::vector<Run>& runs) {
  bool any = false;
  for (const Run& run : runs) {
    const std::string loss = figure(curves(run, false)), accuracy = figure(curves(run, true));
    if (loss.empty() && accuracy.empty()) continue;
    if (!any) out += "<section><h2>How training went</h2>";
    any = true;
    fmt::format_to(std::back_inserter(out), "<h3>{}{}</h3><div class=\"charts\">{}{}</div>",
                   escape(describe(run)), run.finished ? "" : " (not finished)", loss, accuracy);
  }
  if (any) out += "</section>\n";
}

void add_pictures(std::string& out, const std::vector<Run>& runs) {
  bool any = false;
  for (const Run& run : runs) {
    const std::string pictures = parity_pictures(run);
    if (pictures.empty()) continue;
    if (!any)
      out +=
          "<section><h2>What the encoder asks</h2><p>Groups of inputs, and beside each the parity "
          "input that the encoder makes of it. The network that answers it was trained on ordinary "
          "pictures alone and is left as it is.</p>";
    any = true;
    fmt::format_to(std::back_inserter(out), "<h3>{}</h3>{}", escape(describe(run)), pictures);
  }
  if (any) out += "</section>\n";
}

// Those of results files, then the comparisons among the runs.
std::vector<Experiment> all_experiments(const std::vector<Run>& runs,
                                        std::vector<Experiment> experiments) {
  for (const Run& run : runs)
    if (auto compared = compared_codes(run)) experiments.push_back(std::move(*compared));
  return experiments;
}

void add_commands(std::string& out, const std::vector<Run>& runs) {
  if (runs.empty()) return;
  out += "<section><h2>The commands</h2><dl class=\"runs\">";
  for (const Run& run : runs)
    fmt::format_to(std::back_inserter(out), "<dt>{}</dt><dd><code>{}</code></dd>", escape(run.name),
                   escape(text(run.header, "command").value_or("not recorded")));
  out += "</dl></section>\n";
}

}  // namespace

std::string page(const std::vector<Run>& runs, const std::vector<Experiment>& experiments) {
  const std::vector<CodeResult> codes = code_results(runs);
  std::string out;
  add_head(out);
  add_glance(out, codes);
  add_table(out, code_table(codes), "results", figure(late_chart(codes)));
  for (const Experiment& experiment : all_experiments(runs, experiments))
    out += experiment_section(experiment);
  add_table(out, merge_table(runs), "results dense");
  add_table(out, classifier_table(runs), "results");
  add_pictures(out, runs);
  add_curves(out, runs);
  add_table(out, provenance_table(runs), "facts");
  add_commands(out, runs);
  out +=
      "<footer>Written by <code>report</code>, a program of understudy. The page is complete in "
      "itself: it fetches nothing and runs no script.</footer>\n</main></body></html>\n";
  return out;
}

std::string summary(const std::vector<Run>& runs, const std::vector<Experiment>& experiments) {
  const std::vector<CodeResult> codes = code_results(runs);
  std::string out;
  for (const Table& table : {classifier_table(runs), code_table(codes), merge_table(runs)})
    if (!table.empty()) out += plain(table) + "\n";
  for (const Experiment& experiment : all_experiments(runs, experiments))
    out += experiment_summary(experiment);
  for (const std::string& sentences : {meaning(codes), meaning_of_merges(runs)})
    for (const std::string& line : wrapped(sentences, 96)) out += line + "\n";
  return out;
}

}  // namespace understudy::report
