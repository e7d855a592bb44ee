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
                          const ComputeFlags& compute, const std::map<std::string, Speed>& speeds) {
  const Plan plan = make_plan(experiment.settings, out, compute);
  BudgetRequest request;
  std::map<std::size_t, std::size_t> place;  // of models in the request
  const auto enter = [&](const std::vector<std::size_t>& jobs) {
    std::vector<std::size_t> places;
    places.reserve(jobs.size());
    for (const std::size_t at : jobs) places.push_back(place.at(at));
    return places;
  };
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
    const Job& job = plan.jobs[i];
    if (!std::holds_alternative<BaseModel>(job.of)) continue;
    place[i] = request.models.size();
    request.models.emplace_back();
    if (!job.to_run()) continue;
    const Speed speed = speed_of(job, speeds);
    request.models.back() = {
        speed.fixed_seconds + speed.epoch_seconds * static_cast<double>(job.epochs),
        enter(job.after)};
  }
  for (std::size_t i = 0; i < experiment.settings.size(); ++i) {
    const Setting& setting = experiment.settings[i];
    const Job& job = plan.jobs[plan.of_setting[i]];
    SettingCost cost{.after = enter(job.after), .held = job.finished()};
    if (const CodeSetting* code = trained_code(setting)) {
      cost.epochs = code->epochs;
      cost.least_epochs = code->least_epochs;
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
                          const ComputeFlags& compute, const std::map<std::string, Speed>& speeds,
                          std::size_t at_once, double seconds) {
  BudgetRequest request = request_for(experiment, out, compute, speeds);
  request.at_once = at_once;
  request.seconds = planned_part * seconds;
  const BudgetChoice choice = fit_budget(request);
  if (choice.epochs.empty()) {
    const SettingCost& first = request.settings.front();
    const double needed = least_seconds(request);
    throw UsageError(fmt::format(
        "--budget: too little even for the first setting{} ({}), which takes {}; give it at least "
        "{}",
        first.epochs > 0 ? fmt::format(" with {} epochs", first.least_epochs) : "",
        text_of(experiment.settings.front()), duration(needed), duration(needed / planned_part)));
  }

  Selection selection{.seconds = choice.seconds};
  for (std::size_t i = 0; i < experiment.settings.size(); ++i) {
    Setting setting = experiment.settings[i];
    CodeSetting* code = trained_code(setting);
    std::string cut;
    if (i >= choice.epochs.size())
      cut = "setting " + text_of(setting);
    else if (code && choice.epochs[i] < code->epochs)
      cut = fmt::format("epochs {} → {}", code->epochs, choice.epochs[i]);
    if (!cut.empty() &&
        std::find(selection.cut.begin(), selection.cut.end(), cut) == selection.cut.end())
      selection.cut.push_back(cut);
    if (i >= choice.epochs.size()) continue;
    if (code) code->epochs = choice.epochs[i];
    selection.settings.push_back(std::move(setting));
  }
  return selection;
}

void store_selection(const fs::path& file, const std::string& key, const Selection& selection) {
  json epochs = json::array();
  for (const Setting& setting : selection.settings) {
    const CodeSetting* code = trained_code(setting);
    epochs.push_back(code ? code->epochs : 0);
  }
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
    CodeSetting* code = trained_code(selection.settings.back());
    if (code && epochs[i] > 0) code->epochs = epochs[i];
  }
  return selection;
}

}  // namespace understudy::reproduce
