#include "tools/reproduce/held_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "kernels/check.h"
#include "tools/merge_models/choices.h"

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Whether a header's setting is what `typed` gives.
bool same_value(const json& setting, const std::string& typed) {
  if (setting.is_boolean()) return setting.get<bool>() == typed.empty();
  if (setting.is_number()) return number_in(typed) == setting.get<double>();
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

// What the programs take where they are told nothing; further values of one setting are those of
// other programs.
const MergeChoices merge;
const std::map<std::string, std::vector<json>> defaults = {
    {"r", {1}},
    {"code", {"learned"}},
    {"channels", {"aligned"}},
    {"schedule", {"constant"}},
    {"width", {0}},
    {"hidden", {json::array()}},
    {"init", {""}},
    {"no-batch-norm", {false}},
    {"device", {"cpu"}},
    {"precision", {"fp32"}},
    {"nondeterministic", {false}},
    {"augment", {"auto"}},
    {"optimizer", {"adam"}},
    {"batch-size", {128, 0}},
    {"lr", {1e-3}},
    {"momentum", {0}},
    {"nesterov", {false}},
    {"clip", {0}},
    {"label-smoothing", {0}},
    {"weight-decay", {0, 1e-5}},
    {"validation", {0, 5000, merge.validation}},
    {"start", {""}},
    {"method", {merge.method}},
    {"points", {merge.points}},
    {"weights", {merge.weights}},
    {"fisher", {merge.fisher}},
    {"fisher-data", {merge.fisher_data}},
    {"fishers", {merge.fishers}},
    {"damping", {merge.damping}},
    {"kfac-damping", {merge.kfac_damping}},
    {"off-diagonal", {merge.off_diagonal}},
    {"ridge", {merge.ridge}},
    {"ties-density", {merge.ties_density}},
    {"ties-scale", {merge.ties_scale}},
    {"distill-epochs", {merge.distill_epochs}},
    {"distill-lr", {merge.distill_lr}},
    {"distill-batch", {merge.distill_batch}},
    {"distill-seconds", {merge.distill_seconds}},
    {"curve", {merge.curve}},
    {"explain", {merge.explain}}};

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

}  // namespace

std::optional<double> number_in(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

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

}  // namespace understudy::reproduce
