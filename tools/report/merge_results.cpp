#include <fmt/format.h>

#include <set>

#include "kernels/check.h"
#include "tools/report/markup.h"
#include "tools/report/merge_settings.h"
#include "tools/report/merge_tables.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

using nlohmann::json;

// A run without data sets has merged all the same, but nobody knows how well.
bool has_scores(const Run& run) {
  const auto data = run.header.find("dataset");
  return data == run.header.end() || !data->is_array() || !data->empty();
}

// Of a finished run's result.json; null for other runs.
const json* merge_rows(const Run& run) {
  if (run.program() != "merge_models" || !run.finished || !has_scores(run)) return nullptr;
  const std::string file = (run.folder / "result.json").string();
  const auto rows = run.result.find("rows");
  check(rows != run.result.end() && rows->is_array() && !rows->empty(),
        "{}: expected an array \"rows\" with one object per method, found none", file);
  for (const json& row : *rows) {
    const auto score = number(row, "normalised_decoding_accuracy");
    check(text(row, "method") && score,
          "{}: a row of \"rows\" lacks \"method\" or \"normalised_decoding_accuracy\"", file);
    check(*score >= 0, "{}: \"normalised_decoding_accuracy\" is {}, expected per cent", file,
          *score);
    for (const char* key : {"points", "damping", "seconds", "peak_bytes"})
      if (const auto value = number(row, key))
        check(*value >= 0 && *value <= 1e18, "{}: \"{}\" is {}, expected a number from 0 on", file,
              key, *value);
  }
  return &*rows;
}

double score_of(const json& row) { return *number(row, "normalised_decoding_accuracy"); }

// The mean of `key` over the tasks of a row; empty where a task lacks it.
std::optional<double> mean_over_tasks(const json& row, const char* key) {
  const auto tasks = row.find("tasks");
  if (tasks == row.end() || !tasks->is_array() || tasks->empty()) return std::nullopt;
  double sum = 0;
  for (const json& task : *tasks) {
    const auto value = number(task, key);
    if (!value) return std::nullopt;
    sum += *value;
  }
  return sum / static_cast<double>(tasks->size());
}

// Without the places where a line could break.
std::string unbroken(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == ' ' ? "\u00a0" : c == '-' ? "\u2011" : std::string(1, c);
  return out;
}

// "MNIST 91.20 %, Fashion-MNIST 80.31 %", to be broken after the comma alone.
std::string by_task(const json& row, const char* key) {
  std::string out;
  const auto tasks = row.find("tasks");
  if (tasks == row.end() || !tasks->is_array()) return "–";
  for (const json& task : *tasks)
    out +=
        (out.empty() ? "" : ", ") + unbroken(written_name(text(task, "dataset").value_or("task")) +
                                             " " + percent(number(task, key)));
  return out.empty() ? "–" : out;
}

std::string method_name(const std::string& method) {
  if (method == "average") return "Plain average of the weights";
  if (method == "coin") return "COIN: Fisher-weighted average";
  return capitalised(written_method(method));
}

// The choices of the methods that a run has more than one of, so that rows of a method are told
// apart.
struct Differing {
  std::set<double> points, damping;
  std::set<std::string> fisher, data;

  explicit Differing(const json& rows) {
    for (const json& row : rows) {
      if (const auto value = number(row, "points")) points.insert(*value);
      if (const auto value = number(row, "damping")) damping.insert(*value);
      if (const auto value = text(row, "fisher")) fisher.insert(*value);
      if (const auto value = text(row, "fisher_data")) data.insert(*value);
    }
  }

  // ", P = 1,000, classification, union": "" for a row, or a run, without.
  std::string of(const json& row) const {
    std::string out;
    if (const auto value = number(row, "points"); value && points.size() > 1)
      out += fmt::format(", {}", written_points(static_cast<std::int64_t>(*value)));
    if (const auto value = text(row, "fisher"); value && fisher.size() > 1)
      out += ", " + written_fisher(*value);
    if (const auto value = text(row, "fisher_data"); value && data.size() > 1) out += ", " + *value;
    if (const auto value = number(row, "damping"); value && damping.size() > 1)
      out += fmt::format(", damping {:.3g}", *value);
    return out;
  }
};

// By the Fisher information that was published for COIN, where a row says by which.
bool is_usual(const json& row) {
  return text(row, "fisher").value_or("gaussian") == "gaussian" &&
         text(row, "fisher_data").value_or("own") == "own" &&
         number(row, "damping").value_or(0) == 0;
}

// The row of the method with most points, by the usual Fisher information; null for none.
const json* usual_row(const json& rows, const char* method) {
  const json* best = nullptr;
  const auto points = [](const json& row) { return number(row, "points").value_or(0); };
  for (const json& row : rows)
    if (*text(row, "method") == method && is_usual(row) && (!best || points(row) > points(*best)))
      best = &row;
  return best;
}

// Of the allocator, while merging.
std::string mebibytes(const json& row) {
  const auto bytes = number(row, "peak_bytes");
  return bytes ? quantity_cell(Estimate{*bytes / (1 << 20), {}, 1}) : "–";
}

std::string extra(const Run& run) {
  const auto value = number(run, "extra_machines_percent");
  return value ? fmt::format("{:.3g} %", *value) : "–";
}

// A query goes to the coded model as it is, so nothing is encoded while it waits.
std::string microseconds(const Run& run) {
  const auto encode = number(run, "encode_us"), decode = number(run, "decode_us");
  return encode && decode ? fmt::format("{:.3g}, {:.3g}", *encode, *decode) : "–";
}

}  // namespace

Table merge_table(const std::vector<Run>& runs) {
  Table table{
      "Models: one coded model stands in for any of several",
      {{"Protection", "", false, ""},
       {"All answer", "accuracy, mean", true, "all answer"},
       {"Recon\u00adstructed answer", "accuracy, mean", true, "reconstructed"},
       {"Normalised decoding accuracy", "", true, "normalised"},
       {"Recovery", "accuracy, mean", true, "recovery"},
       {"Reconstructed, by task", "accuracy", false, "", false},
       {"Extra machines", "", true, "extra"},
       {"Encode, decode", "µs a query", true, "encode, decode"},
       {"To make it", "", true, "time"},
       {"Peak memory", "MiB", true, "MiB"}},
      {},
      {"Several models, each on a machine of its own, are joined by one coded model of the same "
       "size that is computed from their weights; distillation alone trains. When model j does not "
       "answer, its answer is worked out from those of the coded model and of the others.",
       "A query goes to the coded model as it is: the encoding is done once, when the model is "
       "made.",
       "Normalised decoding accuracy = 100 · accuracy of the reconstructed answers of model j / "
       "accuracy of model j, on the test set of task j, averaged over the models j, each of them "
       "late in turn."}};
  for (const Run& run : runs)
    if (const json* rows = merge_rows(run)) {
      const json& first = rows->front();
      const auto base = mean_over_tasks(first, "base_accuracy");
      Section section{
          fmt::format("{} models {} on {}", first.value("tasks", json::array()).size(),
                      text(run, "model").value_or("of unknown architecture"), dataset_name(run)),
          {}};
      // As many copies as there are coded models survive as many losses.
      const double copies = number(run, "replication_extra_machines_percent").value_or(100);
      const std::string replication =
          copies == 100 ? "Replication: each model twice"
                        : fmt::format("Replication: each model {:.3g} times", 1 + copies / 100);
      section.rows.push_back(
          {{replication, percent(base), percent(base), "100.0 %", percent(1.0),
            by_task(first, "base_accuracy"), fmt::format("{:.3g} %", copies), "0, 0", "–", "–"},
           true});
      const Differing differing(*rows);
      for (const json& row : *rows)
        section.rows.push_back(
            {{method_name(*text(row, "method")) + differing.of(row), percent(base),
              percent(mean_over_tasks(row, "decoded_accuracy")),
              fmt::format("{:.1f} %", score_of(row)),
              percent(mean_over_tasks(row, "recovery_accuracy")), by_task(row, "decoded_accuracy"),
              extra(run), microseconds(run), elapsed(number(row, "seconds")), mebibytes(row)},
             *text(row, "method") == "average"});
      table.sections.push_back(std::move(section));
    }
  return table;
}

std::string meaning_of_merges(const std::vector<Run>& runs) {
  for (const Run& run : runs)
    if (const json* rows = merge_rows(run)) {
      const json *average = usual_row(*rows, "average"), *coin = usual_row(*rows, "coin");
      if (!average || !coin) continue;
      return fmt::format(
          "The same with models: in place of a copy of each, one model made of all by COIN gives "
          "back {:.1f} % of a lost model’s accuracy; a plain average of their weights gives back "
          "{:.1f} %.",
          score_of(*coin), score_of(*average));
    }
  return "";
}

}  // namespace understudy::report
