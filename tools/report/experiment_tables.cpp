#include "tools/report/experiment_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tools/report/markup.h"
#include "tools/report/merge_settings.h"

namespace understudy::report {
namespace {

// Whether a metric's table has a place for the figure.
bool has_a_cell(const Published& p) {
  const bool late = p.metric.starts_with("accuracy_") && p.metric.ends_with("_percent_unavailable");
  return p.k > 0 && !p.dataset.empty() &&
         (p.metric == "recovery_accuracy" || p.metric == "overall_accuracy" || late);
}

std::string whole(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "";
}

}  // namespace

std::string written_metric(const std::string& metric) {
  constexpr std::pair<const char*, const char*> names[] = {
      {"recovery_accuracy", "Recovery-accuracy"},
      {"overall_accuracy", "Overall-accuracy of reconstructed answers"},
      {"accuracy", "Accuracy when every machine answers"},
      {"group_accuracy", "Accuracy of all answers of a group, one machine late"},
      {"accuracy_1_percent_unavailable", "Accuracy with 1 % of the answers reconstructed"},
      {"accuracy_5_percent_unavailable", "Accuracy with 5 % of the answers reconstructed"},
      {"accuracy_10_percent_unavailable", "Accuracy with 10 % of the answers reconstructed"}};
  for (const auto& [name, written] : names)
    if (metric == name) return written;
  std::string words = metric;
  std::replace(words.begin(), words.end(), '_', ' ');
  return capitalised(std::move(words));
}

bool of_base_model(const Published& published) {
  return published.k == 0 && published.metric == "accuracy";
}

bool in_paper_layout(const Experiment& experiment) {
  const auto fits = [](const Published& p) {
    return p.code == "none" || p.code == "base model" || p.code.find("learned") != p.code.npos;
  };
  return std::all_of(experiment.outcomes.begin(), experiment.outcomes.end(),
                     [](const Outcome& o) { return o.code == "learned" || is_baseline(o); }) &&
         std::all_of(experiment.published.begin(), experiment.published.end(), fits);
}

std::vector<Table> experiment_tables(const Experiment& experiment) {
  std::vector<std::string> metrics = {"recovery_accuracy", "overall_accuracy"};
  // What a code that is not systematic has to be compared by: it reconstructs every answer.
  if (!in_paper_layout(experiment) &&
      std::any_of(experiment.outcomes.begin(), experiment.outcomes.end(),
                  [](const Outcome& o) { return o.value("group_accuracy").has_value(); }))
    metrics.push_back("group_accuracy");
  for (const Published& p : experiment.published)
    if (has_a_cell(p) && std::find(metrics.begin(), metrics.end(), p.metric) == metrics.end())
      metrics.push_back(p.metric);
  const std::vector<Setting> settings = settings_of(experiment);
  std::vector<Table> tables;
  for (const std::string& metric : metrics) {
    if (in_paper_layout(experiment))
      tables.push_back(paper_table(experiment, settings, metric));
    else
      for (Table& table : comparison_tables(experiment, settings, metric))
        tables.push_back(std::move(table));
  }
  std::erase_if(tables, [](const Table& table) { return table.empty(); });
  return tables;
}

Table published_table(const Experiment& experiment) {
  Table table{"Other published figures",
              {{"Code or method", "", false},
               {"Data and model", "", false},
               {"k", "", true},
               {"r", "", true},
               {"Of", "", false},
               {"Value", "published, %", true, "", true, true},
               {"Note", "", false}},
              {},
              {}};
  Section section;
  for (const Published& p : experiment.published) {
    if (has_a_cell(p) || (of_base_model(p) && in_paper_layout(experiment))) continue;
    section.rows.push_back(
        {{written_method(written_code({.code = p.code, .encoder = p.encoder, .loss = p.loss})),
          place_of(Outcome{.dataset = p.dataset, .base = p.base}), p.k ? std::to_string(p.k) : "",
          p.r ? std::to_string(p.r) : "", written_metric(p.metric),
          fmt::format("{:.2f}", 100 * p.value), p.note}});
  }
  if (!section.rows.empty()) table.sections.push_back(std::move(section));
  return table;
}

std::string seeds_note(const std::vector<const Setting*>& shown) {
  std::vector<std::size_t> seeds;
  seeds.reserve(shown.size());
  for (const Setting* setting : shown) seeds.push_back(setting->seeds.size());
  return seeds_note(seeds);
}

std::string seeds_note(const std::vector<std::size_t>& seeds) {
  const bool single = std::count(seeds.begin(), seeds.end(), 1) > 0;
  if (std::all_of(seeds.begin(), seeds.end(), [](std::size_t n) { return n == 1; }))
    return "Every figure of ours is of one seed, so it has no interval.";
  std::string note =
      "±: half of the 95 % interval of the mean over the seeds (Student’s t distribution).";
  if (single) note += " A figure without it is of one seed.";
  return note;
}

Table origin_table(const Experiment& experiment) {
  Table table{"The runs",
              {{"Run", "", false},
               {"Seed", "", true},
               {"Epochs", "of those published", true},
               {"Recovery", "%", true},
               {"Time", "", true},
               {"Commit", "", false},
               {"Device", "instruction set, threads", false},
               {"Command", "", false}},
              {},
              {}};
  const std::vector<Setting> settings = settings_of(experiment);
  std::map<std::string, std::vector<std::pair<const Setting*, const Outcome*>>> by_command;
  for (const Setting& setting : settings)
    for (const Outcome* outcome : setting.seeds)
      by_command[outcome->command.empty() ? outcome->place : outcome->command].push_back(
          {&setting, outcome});
  Section section;
  for (const Setting& setting : settings)
    for (const Outcome* o : setting.seeds) {
      const auto& together = by_command[o->command.empty() ? o->place : o->command];
      if (together.front().second != o) continue;
      std::string name = o->setting, epochs = whole(o->epochs), device = o->device;
      const auto recovery = o->value("recovery_accuracy");
      const bool alone = together.size() == 1;
      if (!alone) name = fmt::format("{}: {} codes", place_of(*o), together.size());
      if (const std::string remark = setting.remark(); alone && !remark.empty())
        name += ": " + remark;
      if (!o->instruction_set.empty()) device += ", " + o->instruction_set;
      if (o->threads) device += fmt::format(", {}", *o->threads);
      if (o->epochs && o->epochs_published) epochs += " of " + whole(o->epochs_published);
      if (o->epochs == 0) epochs = "";
      double seconds = 0;
      for (const auto& [other, outcome] : together) seconds += outcome->seconds.value_or(0);
      section.rows.push_back({{name, std::to_string(o->seed), epochs,
                               alone && recovery ? fmt::format("{:.2f}", 100 * *recovery) : "",
                               o->seconds ? elapsed(seconds) : "", o->commit, device, o->command}});
    }
  if (!section.rows.empty()) table.sections.push_back(std::move(section));
  return table;
}

}  // namespace understudy::report
