#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "datasets/dataset.h"
#include "kernels/check.h"
#include "models/registry.h"
#include "tools/merge_models/choices.h"
#include "tools/reproduce/axes.h"
#include "tools/reproduce/merge_choices.h"
#include "tools/reproduce/recipe.h"
#include "tools/reproduce/sections.h"

namespace understudy::reproduce {
namespace {

using Names = std::vector<std::string>;

constexpr std::size_t most_models = 8;
// Seeds of models that begin independently of one another lie so far apart that seeds of an
// experiment do not meet them.
constexpr std::int64_t seed_distance = 1000;

const Names axes = {"initialisation", "base", "width", "seed"};
// In the order of the command; the first four make the rows of a run.
const Names merge_flags = {"points",        "fisher",       "fisher-data",     "damping",
                           "weights",       "kfac-damping", "off-diagonal",    "ridge",
                           "ties-density",  "ties-scale",   "distill-epochs",  "distill-lr",
                           "distill-batch", "curve",        "distill-seconds", "validation"};
const WholeFlags merge_wholes = {
    {"distill-epochs", 1}, {"distill-batch", 1}, {"curve", 0}, {"validation", 1}};

Names tasks_of(const Section& section) {
  const Names tasks = section.texts("tasks");
  if (tasks.size() < 2 || tasks.size() > most_models)
    section.fail_at("tasks", fmt::format("a list of 2 to {} data sets", most_models));
  for (const std::string& task : tasks) section.one_of("tasks", task, dataset_names());
  return tasks;
}

// The models of the tasks, and what they began from.
void add_models(const Reading& reading, const Section& section, const Combination& chosen,
                MergeSetting& setting) {
  const Names tasks = tasks_of(section);
  const bool pretrained = setting.initialisation == "pretrained";
  const bool independent = setting.initialisation == "independent";
  const std::string name = chosen.one_of("base", model_names());
  const auto trained = [&](const char* recipe, const std::string& dataset) {
    BaseModel model = base_model(reading.sources, recipe, name, dataset, section);
    model.seed = setting.seed;
    if (section.has("width") && name == "resnet18") model.width = chosen.whole("width", 0, 0);
    if (reading.overrides.width > 0 && name == "resnet18") model.width = reading.overrides.width;
    return model;
  };
  if (pretrained) {
    const std::string dataset = section.one_of("start", section.text("start"), dataset_names());
    if (std::ranges::find(tasks, dataset) != tasks.end())
      section.fail_at("start", "a data set that is none of the tasks: merging would be trivial");
    setting.start = trained("start", dataset);
    setting.start->purpose = "start";
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    // A network that begins at random is trained as a start is, so that it may serve as one.
    BaseModel model = trained(pretrained ? "fine-tune" : "start", tasks[i]);
    model.purpose = pretrained ? "tuned" : "start";
    if (pretrained) model.start = setting.start->dataset;
    if (independent) model.seed += seed_distance * static_cast<std::int64_t>(i);
    if (pretrained && model.width != setting.start->width)
      section.fail_at("base", fmt::format("models of one width; [fine-tune.{}] gives {} the width "
                                          "{}, [start.{}] {}",
                                          name, tasks[i], model.width, name, setting.start->width));
    if (!independent && std::ranges::count(tasks, tasks[i]) > 1)
      section.fail_at("tasks", "different ones, unless initialisation is independent");
    setting.models.push_back(std::move(model));
  }
}

// A UsageError of merge_models, where the key is known that led to it.
void checked(const Section& section, const std::string& key, const std::function<void()>& check) {
  try {
    check();
  } catch (const UsageError& error) {
    const toml::node* node = section.table().get(key);
    section.fail_at(node ? *node : section.table(), fmt::format("{}: {}", key, error.what()));
  }
}

void check_what_is_measured(const Section& section, const MergeSetting& setting) {
  if (section.has("points")) section.wholes("points", 1, 1 << 20);
  MergeChoices rows = merge_choices(setting);
  const auto with = [&](const char* key, const std::string& fisher, const std::string& data,
                        const std::string& damping) {
    MergeChoices one = rows;
    one.fisher = fisher, one.fisher_data = data, one.damping = damping;
    checked(section, key, [&] { merge_cases(one); });
  };
  // One after the other, so that the message has the line of the key that is wrong.
  with("methods", "gaussian", "own", "0");
  with("fisher", rows.fisher, "own", "0");
  with("fisher-data", rows.fisher, rows.fisher_data, "0");
  with("damping", rows.fisher, rows.fisher_data, rows.damping);
  checked(section, "weights", [&] { parse_weights(rows.weights, setting.models.size()); });
}

}  // namespace

std::vector<Setting> merge_settings(const Reading& reading, const toml::table& table) {
  const Section section(reading.file(), "merge", table);
  Names known = {"tasks", "start", "methods", "label"};
  known.insert(known.end(), axes.begin(), axes.end());
  known.insert(known.end(), merge_flags.begin(), merge_flags.end());
  section.only(known);
  for (const char* needed : {"initialisation", "base"})
    if (!section.has(needed)) section.fail_at(needed, "one or a list of them");
  for (const char* needed : {"tasks", "methods"})
    if (!section.has(needed)) section.fail_at(needed, "a list");

  std::vector<Axis> all = axes_of(section, axes);
  if (!reading.overrides.seeds.empty()) put_first(all, {"seed", {fmt::format("{}", reading.seed)}});
  std::vector<Setting> settings;
  bool start_used = false;
  multiply(section, all, [&](const Combination& chosen) {
    MergeSetting setting;
    setting.initialisation = chosen.one_of("initialisation", {"pretrained", "same", "independent"});
    setting.seed = chosen.whole("seed", 0, 1);
    setting.methods = section.texts("methods");
    setting.label = section.text("label");
    add_models(reading, section, chosen, setting);
    for (const std::string& name : merge_flags)
      add_flag(section, name, merge_wholes, setting.flags);
    check_what_is_measured(section, setting);
    start_used = start_used || setting.start;
    settings.emplace_back(std::move(setting));
  });
  if (section.has("start") && !start_used)
    section.fail_at("start", "it only where initialisation is pretrained");
  return settings;
}

}  // namespace understudy::reproduce
