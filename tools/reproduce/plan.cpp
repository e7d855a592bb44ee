#include "tools/reproduce/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "kernels/check.h"

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void add(std::vector<std::string>& arguments, const std::string& name, const std::string& value) {
  arguments.push_back("--" + name);
  if (!value.empty()) arguments.push_back(value);
}

void add(std::vector<std::string>& arguments, const std::string& name, std::int64_t value) {
  add(arguments, name, fmt::format("{}", value));
}

std::optional<double> number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

// Whether a header's setting is what `typed` gives.
bool same_value(const json& setting, const std::string& typed) {
  if (setting.is_boolean()) return setting.get<bool>() == typed.empty();
  if (setting.is_number()) return number(typed) == setting.get<double>();
  if (setting.is_array()) {
    std::string all;
    for (const json& item : setting) all += (all.empty() ? "" : ",") + item.dump();
    return all == typed;
  }
  return setting.is_string() && setting.get<std::string>() == typed;
}

// The flags of a command as it was typed, without those that change no result, and epochs.
std::vector<std::string> flags_in(const std::string& command) {
  static const std::set<std::string> free = {"threads", "workers", "quiet",  "resume", "data-dir",
                                             "out",     "json",    "config", "epochs"};
  std::vector<std::string> names;
  std::istringstream words(command);
  for (std::string word; words >> word;) {
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(2, word.find('=') - 2);
    if (!free.contains(name)) names.push_back(name);
  }
  return names;
}

// What train_classifier and train_code take where they are told nothing; the second value of one
// setting is the other program's.
const std::map<std::string, std::vector<json>> defaults = {{"r", {1}},
                                                           {"code", {"learned"}},
                                                           {"channels", {"aligned"}},
                                                           {"schedule", {"constant"}},
                                                           {"width", {0}},
                                                           {"hidden", {json::array()}},
                                                           {"init", {""}},
                                                           {"no-batch-norm", {false}},
                                                           {"device", {"cpu"}},
                                                           {"augment", {"auto"}},
                                                           {"optimizer", {"adam"}},
                                                           {"batch-size", {128, 0}},
                                                           {"lr", {1e-3}},
                                                           {"momentum", {0}},
                                                           {"nesterov", {false}},
                                                           {"clip", {0}},
                                                           {"label-smoothing", {0}},
                                                           {"weight-decay", {0, 1e-5}},
                                                           {"validation", {0, 5000}}};

// The settings that a run was given, by its command, a file or the environment, and that are not
// the defaults.
std::set<std::string> given_in(const json& header, const json& settings) {
  std::set<std::string> names;
  for (const std::string& name : flags_in(header.value("command", ""))) names.insert(name);
  for (const auto& [name, values] : defaults) names.insert(name);
  std::erase_if(names, [&](const std::string& name) {
    if (!settings.contains(name)) return true;
    const auto found = defaults.find(name);
    return found != defaults.end() &&
           std::ranges::find(found->second, settings[name]) != found->second.end();
  });
  return names;
}

// A finished folder is not run again, so nobody else would see that it holds another run.
// Settings that the header does not know are newer than the run, and had their default then.
void check_held(const fs::path& out, const Job& job) {
  const json settings = job.before.header.value("settings", json::object());
  const std::string program = job.before.header.value("program", "");
  if (program != job.program)
    throw UsageError(fmt::format("{}: holds a run of {}, expected one of {}; choose another --out",
                                 (out / job.folder).string(), program, job.program));
  const auto& arguments = job.arguments;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with("--")) continue;
    const std::string name = arguments[i].substr(2);
    const bool has_value = i + 1 < arguments.size() && !arguments[i + 1].starts_with("--");
    const std::string value = has_value ? arguments[i + 1] : "";
    if (name == "out" || name == "epochs" || !settings.contains(name)) continue;
    if (!same_value(settings[name], value))
      throw UsageError(
          fmt::format("{}: holds a run with {} = {}, this one has {}; choose another --out, or "
                      "remove that folder",
                      (out / job.folder).string(), name, settings[name].dump(), value));
  }
  for (const std::string& name : given_in(job.before.header, settings))
    if (std::find(arguments.begin(), arguments.end(), "--" + name) == arguments.end())
      throw UsageError(fmt::format(
          "{}: holds a run with {} = {}, of which this one says nothing; choose another "
          "--out, or remove that folder",
          (out / job.folder).string(), name, settings[name].dump()));
}

Job base_job(const BaseModel& base, const std::string& device) {
  Job job{.folder = folder_of(base), .program = "train_classifier", .epochs = base.epochs};
  add(job.arguments, "dataset", base.dataset);
  add(job.arguments, "model", base.model);
  if (base.width > 0) add(job.arguments, "width", base.width);
  for (const Flag& flag : base.flags) add(job.arguments, flag.name, flag.value);
  if (device != "cpu") add(job.arguments, "device", device);
  job.kind = fmt::format("{} {}", job.program, fmt::join(job.arguments, " "));
  add(job.arguments, "epochs", base.epochs);
  add(job.arguments, "seed", base.seed);
  return job;
}

Job setting_job(const Setting& setting, const std::string& device) {
  Job job;
  job.program = setting.compares() ? "compare_codes" : "train_code";
  add(job.arguments, "dataset", setting.base.dataset);
  if (setting.compares()) {
    add(job.arguments, "codes", fmt::format("{}", fmt::join(setting.codes, ",")));
    add(job.arguments, "k", fmt::format("{}", fmt::join(setting.ks, ",")));
    add(job.arguments, "r", fmt::format("{}", fmt::join(setting.rs, ",")));
  } else {
    add(job.arguments, "k", setting.k);
    if (setting.r != 1) add(job.arguments, "r", setting.r);
    if (setting.code != "learned") add(job.arguments, "code", setting.code);
    if (!setting.encoder.empty()) add(job.arguments, "encoder", setting.encoder);
    if (setting.channels != "aligned") add(job.arguments, "channels", setting.channels);
    for (const Flag& flag : setting.flags) add(job.arguments, flag.name, flag.value);
  }
  if (device != "cpu") add(job.arguments, "device", device);
  job.kind = fmt::format("{} over {}: {}", job.program, setting.base.label(),
                         fmt::join(job.arguments, " "));
  add(job.arguments, "base", folder_of(setting.base));
  if (!setting.compares()) {
    add(job.arguments, "loss", setting.loss);
    add(job.arguments, "epochs", setting.epochs);
    job.epochs = setting.epochs;
  }
  add(job.arguments, "seed", setting.base.seed);
  return job;
}

// See make_plan.
std::string choose_folder(const Setting& setting, const fs::path& out) {
  const std::string plain = folder_of(setting);
  if (setting.compares()) return plain;
  const std::string best = best_folder_of(setting, out);
  if (!best.empty() && look_into(out / best).epochs >= setting.epochs) return best;
  const FolderState state = look_into(out / plain);
  return !state.begun || state.epochs == setting.epochs ? plain
                                                        : folder_of(setting, setting.epochs);
}

}  // namespace

std::string Job::command() const {
  return fmt::format("{} {} --out {}", program, fmt::join(arguments, " "), folder);
}

std::size_t Plan::to_run() const {
  std::size_t count = 0;
  for (const Job& job : jobs) count += job.to_run();
  return count;
}

std::string folder_of(const BaseModel& base) {
  return fmt::format("base-{}-{}-seed{}", base.dataset, base.label(), base.seed);
}

std::string folder_of(const Setting& setting, std::int64_t epochs) {
  const BaseModel& base = setting.base;
  const std::string model = fmt::format("{}-{}", base.dataset, base.label());
  if (setting.compares())
    return fmt::format("codes-{}{}-seed{}", model, setting.label.empty() ? "" : "-" + setting.label,
                       base.seed);
  std::string name = fmt::format("code-{}-k{}-r{}", model, setting.k, setting.r);
  if (setting.code == "learned")
    name += fmt::format("-{}-{}", setting.encoder, setting.loss);
  else
    name += "-" + setting.code;
  if (setting.channels != "aligned") name += "-" + setting.channels;
  for (const Flag& flag : setting.flags)
    name += fmt::format("-{}{}{}", flag.name, flag.value.empty() ? "" : "-", flag.value);
  if (epochs > 0) name += fmt::format("-epochs{}", epochs);
  return name + fmt::format("-seed{}", base.seed);
}

std::string best_folder_of(const Setting& setting, const fs::path& out) {
  const std::string plain = folder_of(setting);
  if (setting.compares()) return look_into(out / plain).finished ? plain : "";
  const std::string seed = fmt::format("-seed{}", setting.base.seed);
  const std::string start = plain.substr(0, plain.size() - seed.size()) + "-epochs";

  std::string best;
  std::int64_t most = 0;
  std::error_code ignored;  // before the first run there is no folder
  for (const fs::directory_entry& entry : fs::directory_iterator(out, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool with_epochs =
        name.starts_with(start) && name.ends_with(seed) &&
        number(name.substr(start.size(), name.size() - start.size() - seed.size()));
    if (name != plain && !with_epochs) continue;
    const FolderState state = look_into(entry.path());
    if (!state.finished || state.epochs <= most) continue;
    best = name;
    most = state.epochs;
  }
  return best;
}

Plan make_plan(const std::vector<Setting>& settings, const fs::path& out,
               const std::string& device) {
  Plan plan;
  std::map<std::string, std::size_t> place;
  // The job's place; a folder that is asked for twice is one job, if for the same.
  const auto enter = [&](Job job) {
    if (const auto found = place.find(job.folder); found != place.end()) {
      const Job& other = plan.jobs[found->second];
      if (other.arguments != job.arguments)
        throw UsageError(fmt::format("{} is asked for twice: as {} and as {}", job.folder,
                                     other.command(), job.command()));
      return found->second;
    }
    job.before = look_into(out / job.folder);
    if (job.finished()) check_held(out, job);
    place[job.folder] = plan.jobs.size();
    plan.jobs.push_back(std::move(job));
    return plan.jobs.size() - 1;
  };
  for (const Setting& setting : settings) {
    const std::size_t base = enter(base_job(setting.base, device));
    Job job = setting_job(setting, device);
    job.folder = choose_folder(setting, out);
    job.after = {base};
    plan.base_of_setting.push_back(base);
    plan.of_setting.push_back(enter(std::move(job)));
  }
  for (const std::size_t base : plan.base_of_setting) plan.jobs[base].needed = false;
  for (std::size_t i = 0; i < settings.size(); ++i)
    if (plan.jobs[plan.of_setting[i]].to_run()) plan.jobs[plan.base_of_setting[i]].needed = true;
  return plan;
}

}  // namespace understudy::reproduce
