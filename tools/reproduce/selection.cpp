#include "tools/reproduce/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/atomic_file.h"
#include "kernels/check.h"
#include "tools/reproduce/budget.h"
#include "tools/reproduce/members.h"
#include "tools/reproduce/plan.h"
#include "tools/runs/progress.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Of the budget; the rest is for what a measured step does not show: cores that share their memory,
// and the last runs, which do not end together.
constexpr double planned_part = 0.9;

Speed speed_of(const Job& job, const std::map<std::string, Speed>& speeds) {
  const auto found = speeds.find(job.kind);
  check(found != speeds.end(), "the speed of {} has not been measured", job.kind);
  return found->second;
}

BudgetRequest request_for(const Experiment& experiment, const fs::path& out,
                          const std::string& device, const std::map<std::string, Speed>& speeds) {
  const Plan plan = make_plan(experiment.settings, out, device);
  BudgetRequest request;
  std::vector<std::size_t> place(plan.jobs.size());  // of base models in the request
  for (std::size_t i = 0; i < experiment.settings.size(); ++i) {
    const Setting& setting = experiment.settings[i];
    const std::size_t at = plan.base_of_setting[i];
    const Job &base = plan.jobs[at], &job = plan.jobs[plan.of_setting[i]];
    if (place[at] == 0) {
      double seconds = 0;
      if (base.to_run()) {
        const Speed speed = speed_of(base, speeds);
        seconds = speed.fixed_seconds + speed.epoch_seconds * static_cast<double>(base.epochs);
      }
      request.base_seconds.push_back(seconds);
      place[at] = request.base_seconds.size();
    }
    SettingCost cost{.base = place[at] - 1, .held = job.finished()};
    if (!setting.compares()) {
      cost.epochs = setting.epochs;
      cost.least_epochs = setting.least_epochs;
      if (const std::string best = best_folder_of(setting, out); !best.empty())
        cost.epochs_held = look_into(out / best).epochs;
    }
    if (!cost.held) {
      const Speed speed = speed_of(job, speeds);
      cost.fixed_seconds = speed.fixed_seconds;
      cost.epoch_seconds = speed.epoch_seconds;
    }
    request.settings.push_back(cost);
  }
  return request;
}

}  // namespace

Selection select_settings(const Experiment& experiment, const fs::path& out,
                          const std::string& device, const std::map<std::string, Speed>& speeds,
                          std::size_t at_once, double seconds) {
  BudgetRequest request = request_for(experiment, out, device, speeds);
  request.at_once = at_once;
  request.seconds = planned_part * seconds;
  const BudgetChoice choice = fit_budget(request);
  if (choice.epochs.empty()) {
    const SettingCost& first = request.settings.front();
    const double needed = request.base_seconds[first.base] + first.seconds(first.least_epochs);
    throw UsageError(fmt::format(
        "--budget: too little even for the first setting with {} epochs ({}), which takes {}; give "
        "it at least {}",
        first.least_epochs, experiment.settings.front().text(), duration(needed),
        duration(needed / planned_part)));
  }

  Selection selection{.seconds = choice.seconds};
  for (std::size_t i = 0; i < experiment.settings.size(); ++i) {
    Setting setting = experiment.settings[i];
    std::string cut;
    if (i >= choice.epochs.size())
      cut = "setting " + setting.text();
    else if (choice.epochs[i] < setting.epochs)
      cut = fmt::format("epochs {} → {}", setting.epochs, choice.epochs[i]);
    if (!cut.empty() &&
        std::find(selection.cut.begin(), selection.cut.end(), cut) == selection.cut.end())
      selection.cut.push_back(cut);
    if (i >= choice.epochs.size()) continue;
    if (!setting.compares()) setting.epochs = choice.epochs[i];
    selection.settings.push_back(std::move(setting));
  }
  return selection;
}

void store_selection(const fs::path& file, const std::string& key, const Selection& selection) {
  json epochs = json::array();
  for (const Setting& setting : selection.settings)
    epochs.push_back(setting.compares() ? 0 : setting.epochs);
  const json content = {
      {"key", key}, {"epochs", epochs}, {"cut", selection.cut}, {"seconds", selection.seconds}};
  write_file_atomically(file, content.dump(2) + "\n");
}

std::optional<Selection> stored_selection(const fs::path& file, const std::string& key,
                                          const Experiment& experiment) {
  std::ifstream stream(file);
  if (!stream.good()) return {};
  const json content = json::parse(stream, nullptr, false);
  if (!content.is_object() || !content.contains("key") || content["key"] != key) return {};
  need_members(content, file.string(),
               {{"cut", Kind::texts}, {"epochs", Kind::wholes}, {"seconds", Kind::number}});
  Selection selection;
  content.at("cut").get_to(selection.cut);
  content.at("seconds").get_to(selection.seconds);
  const auto epochs = content.at("epochs").get<std::vector<std::int64_t>>();
  check(epochs.size() <= experiment.settings.size(), "{}: has {} settings, the experiment {}",
        file.string(), epochs.size(), experiment.settings.size());
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    selection.settings.push_back(experiment.settings[i]);
    if (epochs[i] > 0) selection.settings.back().epochs = epochs[i];
  }
  return selection;
}

}  // namespace understudy::reproduce
