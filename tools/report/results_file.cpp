#include "tools/report/results_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "kernels/check.h"
#include "tools/report/json_file.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

constexpr std::int64_t most_units = 1000, most_epochs = 1'000'000'000;

void add_once(std::vector<std::string>& all, const std::string& text) {
  if (!text.empty() && std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
}

Experiment& named(std::vector<Experiment>& experiments, const std::string& name) {
  auto at = std::find_if(experiments.begin(), experiments.end(),
                         [&](const Experiment& e) { return e.name == name; });
  if (at == experiments.end()) at = experiments.insert(at, Experiment{.name = name});
  return *at;
}

void read_experiment(const Fields& line, Experiment& experiment) {
  experiment.title = line.text("title");
  experiment.source = line.text_or("source", "");
  experiment.settings = line.optional_whole("settings", 0, most_epochs);
  add_once(experiment.machines, line.text_or("machine", ""));
  add_once(experiment.commands, line.text_or("command", ""));
  for (const std::string& note : line.texts("notes")) add_once(experiment.notes, note);
  for (const std::string& sentence : line.texts("cut")) add_once(experiment.cut, sentence);
}

Published read_published(const Fields& line) {
  return {.dataset = line.text_or("dataset", ""),
          .base = line.text("base"),
          .k = static_cast<int>(line.optional_whole("k", 1, most_units).value_or(0)),
          .r = static_cast<int>(line.optional_whole("r", 0, most_units).value_or(0)),
          .code = line.text("code"),
          .encoder = line.text_or("encoder", ""),
          .loss = line.text_or("loss", ""),
          .metric = metric_name(line.text("metric")),
          .value = line.fraction("value"),
          .note = line.text_or("note", "")};
}

Outcome read_outcome(const Fields& line) {
  Outcome outcome{.setting = line.text("setting"),
                  .dataset = line.text("dataset"),
                  .base = line.text("base"),
                  .base_model = line.text_or("base_model", ""),
                  .reduced = line.text_or("reduced", ""),
                  .code = line.text("code"),
                  .encoder = line.text_or("encoder", ""),
                  .loss = line.text_or("loss", ""),
                  .channels = line.text_or("channels", ""),
                  .k = static_cast<int>(line.whole("k", 1, most_units)),
                  .r = static_cast<int>(line.whole("r", 0, most_units)),
                  .seed = line.optional_whole("seed", 0, std::int64_t{1} << 53).value_or(0),
                  .epochs = line.optional_whole("epochs", 0, most_epochs),
                  .epochs_published = line.optional_whole("epochs_published", 0, most_epochs),
                  .commit = line.text_or("commit", ""),
                  .device = line.text_or("device", ""),
                  .instruction_set = line.text_or("instruction_set", ""),
                  .command = line.text_or("command", ""),
                  .threads = line.optional_whole("threads", 1, most_units),
                  .seconds = line.number("seconds"),
                  .place = line.place()};
  read_values(line.object("values"), outcome);
  for (const Fields& point : line.objects("curve")) {
    const auto epoch = static_cast<double>(point.whole("epoch", 0, most_epochs));
    outcome.curve.push_back({epoch, point.optional_fraction("validation_recovery_accuracy")});
  }
  return outcome;
}

auto identity(const Outcome& o) {
  return std::tie(o.setting, o.dataset, o.base, o.base_model, o.reduced, o.code, o.encoder, o.loss,
                  o.channels, o.k, o.r, o.epochs, o.seed);
}

bool same_result(const Outcome& a, const Outcome& b) {
  return a.values == b.values && a.commit == b.commit && a.command == b.command;
}

void add(Experiment& experiment, Outcome outcome) {
  for (const Outcome& other : experiment.outcomes)
    if (identity(other) == identity(outcome)) {
      check(same_result(other, outcome),
            "{}: another result of \"{}\" with seed {} than at {}: expected one for each setting "
            "and seed",
            outcome.place, printable(outcome.setting), outcome.seed, other.place);
      return;
    }
  experiment.outcomes.push_back(std::move(outcome));
}

void add(Experiment& experiment, Published published) {
  const auto key = [](const Published& p) {
    return std::tie(p.dataset, p.base, p.k, p.r, p.code, p.encoder, p.loss, p.metric, p.value);
  };
  for (const Published& other : experiment.published)
    if (key(other) == key(published)) return;
  experiment.published.push_back(std::move(published));
}

}  // namespace

void read_results(std::string_view content, const std::string& file,
                  std::vector<Experiment>& experiments) {
  std::vector<std::string> introduced;
  for (const JsonLine& line : json_lines(content, file)) {
    const Fields fields(line.object, fmt::format("{}:{}", file, line.number));
    const std::string kind = fields.text("kind"), name = fields.text("experiment");
    if (kind == "experiment") {
      read_experiment(fields, named(experiments, name));
      add_once(introduced, name);
      continue;
    }
    check(kind == "published" || kind == "result" || kind == "merge",
          "{}: \"kind\": expected \"experiment\", \"published\", \"result\" or \"merge\", found "
          "\"{}\"",
          fields.place(), printable(kind));
    check(std::find(introduced.begin(), introduced.end(), name) != introduced.end(),
          "{}: \"experiment\": expected one that an earlier line of kind \"experiment\" "
          "introduces, found \"{}\"",
          fields.place(), printable(name));
    if (kind == "published")
      add(named(experiments, name), read_published(fields));
    else if (kind == "merge")
      add_merge(named(experiments, name).merges, read_merge(fields));
    else
      add(named(experiments, name), read_outcome(fields));
  }
}

void read_results(const std::filesystem::path& file, std::vector<Experiment>& experiments) {
  const std::size_t before = experiments.size();
  const std::string content = read_text(file);
  read_results(content, file.string(), experiments);
  check(experiments.size() > before || content.find_first_not_of(" \t\r\n") != content.npos,
        "{}: is empty; expected the lines of `reproduce`, an experiment first", file.string());
}

}  // namespace understudy::report
