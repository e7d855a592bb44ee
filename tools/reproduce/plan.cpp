#include "tools/reproduce/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "kernels/check.h"
#include "tools/reproduce/held_run.h"
#include "tools/reproduce/jobs.h"

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;

// See make_plan.
std::string choose_folder(const CodeSetting& setting, const fs::path& out) {
  const std::string plain = folder_of(setting);
  if (setting.compares()) return plain;
  const std::string best = best_folder_of(setting, out);
  if (!best.empty() && look_into(out / best).epochs >= setting.epochs) return best;
  const FolderState state = look_into(out / plain);
  return !state.begun || state.epochs == setting.epochs ? plain
                                                        : folder_of(setting, setting.epochs);
}

std::string choose_folder(const MergeSetting& setting, const fs::path&) {
  return folder_of(setting);
}

class Planner {
 public:
  Planner(const fs::path& out, const ComputeFlags& compute) : out_(out), compute_(compute) {}

  void add(const Setting& setting) {
    std::visit(
        [&](const auto& kind) {
          Job job = job_of(kind, compute_);
          job.folder = choose_folder(kind, out_);
          for (const BaseModel& model : models_of(kind)) job.after.push_back(enter(model));
          plan_.of_setting.push_back(enter(std::move(job)));
        },
        setting);
  }

  // Of the models only those are needed from which something begins that is to be run.
  Plan finish() {
    for (Job& job : plan_.jobs) job.needed = !std::holds_alternative<BaseModel>(job.of);
    for (std::size_t i = plan_.jobs.size(); i-- > 0;)
      if (plan_.jobs[i].to_run())
        for (const std::size_t before : plan_.jobs[i].after) plan_.jobs[before].needed = true;
    return std::move(plan_);
  }

 private:
  std::size_t enter(const BaseModel& model) {
    Job job = job_of(model, compute_);
    if (const std::string start = folder_of_start(model); !start.empty())
      job.after = {place_.at(start)};
    return enter(std::move(job));
  }

  // The job's place; a folder that is asked for twice is one job, if for the same.
  std::size_t enter(Job job) {
    if (const auto found = place_.find(job.folder); found != place_.end()) {
      const Job& other = plan_.jobs[found->second];
      if (other.arguments != job.arguments)
        throw UsageError(fmt::format("{} is asked for twice: as {} and as {}", job.folder,
                                     other.command(), job.command()));
      return found->second;
    }
    job.before = look_into(out_ / job.folder);
    if (job.finished()) check_held(out_, job);
    place_[job.folder] = plan_.jobs.size();
    plan_.jobs.push_back(std::move(job));
    return plan_.jobs.size() - 1;
  }

  const fs::path& out_;
  const ComputeFlags& compute_;
  Plan plan_;
  std::map<std::string, std::size_t> place_;
};

}  // namespace

std::string Job::command() const {
  std::string text = program;
  for (const std::string& argument : arguments)  // a shell would end the command at ';'
    text += argument.find(';') == std::string::npos ? " " + argument : " '" + argument + "'";
  return text + " --out " + folder;
}

std::size_t Plan::to_run() const {
  std::size_t count = 0;
  for (const Job& job : jobs) count += job.to_run();
  return count;
}

std::string best_folder_of(const Setting& setting, const fs::path& out) {
  const std::string plain =
      std::visit([](const auto& kind) -> std::string { return folder_of(kind); }, setting);
  const CodeSetting* code = trained_code(setting);
  if (!code) return look_into(out / plain).finished ? plain : "";
  const std::string seed = fmt::format("-seed{}", code->base.seed);
  const std::string start = plain.substr(0, plain.size() - seed.size()) + "-epochs";

  std::string best;
  std::int64_t most = 0;
  std::error_code ignored;  // before the first run there is no folder
  for (const fs::directory_entry& entry : fs::directory_iterator(out, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool with_epochs =
        name.starts_with(start) && name.ends_with(seed) &&
        number_in(name.substr(start.size(), name.size() - start.size() - seed.size()));
    if (name != plain && !with_epochs) continue;
    const FolderState state = look_into(entry.path());
    if (!state.finished || state.epochs <= most) continue;
    best = name;
    most = state.epochs;
  }
  return best;
}

Plan make_plan(const std::vector<Setting>& settings, const fs::path& out,
               const ComputeFlags& compute) {
  Planner planner(out, compute);
  for (const Setting& setting : settings) planner.add(setting);
  return planner.finish();
}

}  // namespace understudy::reproduce
