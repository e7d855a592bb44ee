#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "tools/reproduce/members.h"
#include "tools/reproduce/plan.h"
#include "tools/reproduce/result_line.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// What a row or a result says that is not said elsewhere in its line.
json values_of(const json& result) {
  static const std::set<std::string> elsewhere = {
      "program", "settings", "seconds", "code",  "k",           "r",   "loss",
      "encoder", "channels", "rows",    "model", "explanation", "cost"};
  json values = json::object();
  for (const auto& [name, value] : result.items())
    if (!elsewhere.contains(name)) values[name] = value;
  return values;
}

// Accuracy of all answers of a group, one of its workers missing, for a run that is older than the
// number: trained codes are systematic, so with one parity it follows from the others.
void add_group_accuracy(json& values, const CodeSetting& setting) {
  const auto is_there = [&](const char* key) {  // it is null where it is not finite
    return values.contains(key) && values[key].is_number();
  };
  if (setting.r != 1 || values.contains("test_group_accuracy") || !is_there("test_accuracy") ||
      !is_there("test_overall_accuracy"))
    return;
  const double rebuilt = 1.0 / static_cast<double>(setting.k + setting.r);
  values["test_group_accuracy"] = (1 - rebuilt) * values["test_accuracy"].get<double>() +
                                  rebuilt * values["test_overall_accuracy"].get<double>();
}

// How the run is less than what was published: "width 16, 6 of 500 epochs"; "" where it is not.
std::string reduction(const CodeSetting& setting, const FolderState& state) {
  std::vector<std::string> parts;
  if (const std::string width = reduction_of(setting.base); !width.empty()) parts.push_back(width);
  const json data = state.header.value("dataset", json::object());
  if (data.is_object() && data.value("sample", false))
    parts.push_back(fmt::format("{} training images", data.value("train", 0)));
  if (!setting.compares() && state.epochs < setting.epochs_published)
    parts.push_back(fmt::format("{} of {} epochs", state.epochs, setting.epochs_published));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// The base model as it describes itself; a comparison's header may not say it.
std::string base_model(const CodeSetting& setting, const FinishedRun& run) {
  const json data = run.state.header.value("dataset", json::object());
  if (data.contains("base")) return data["base"].value("model", "");
  const fs::path base = run.out / folder_of(setting.base);
  return look_into(base).finished ? result_in(base).value("model", "") : "";
}

std::vector<json> curve_of(const fs::path& folder) {
  std::vector<json> curve;
  for (json line : metrics_in(folder)) {
    line.erase("seconds");
    curve.push_back(rounded(line));
  }
  return curve;
}

// What all lines of the run have in common.
json common_line(const CodeSetting& setting, const FinishedRun& run) {
  // With the epochs that the folder has.
  CodeSetting held = setting;
  if (!setting.compares()) held.epochs = run.state.epochs;
  json line = {{"kind", "result"},
               {"dataset", setting.base.dataset},
               {"base", setting.base.model},
               {"base_model", base_model(setting, run)},
               {"reduced", reduction(setting, run.state)},
               {"seed", setting.base.seed},
               {"command", command_of(held, run)}};
  add_origin(line, run.state);
  return line;
}

json trained_line(const CodeSetting& setting, const FinishedRun& run) {
  json line = common_line(setting, run);
  line["setting"] = setting.text();
  line["code"] = setting.code;
  line["encoder"] = setting.encoder;
  line["loss"] = setting.loss;
  line["channels"] = setting.channels;
  line["k"] = setting.k;
  line["r"] = setting.r;
  line["epochs"] = run.state.epochs;
  line["epochs_published"] = setting.epochs_published;
  line["seconds"] = rounded(run.result.value("seconds", 0.0));
  json values = values_of(run.result);
  add_group_accuracy(values, setting);
  line["values"] = rounded(values);
  line["curve"] = curve_of(run.path());
  return line;
}

}  // namespace

std::vector<json> lines_of(const CodeSetting& setting, const FinishedRun& run) {
  if (!setting.compares()) return {trained_line(setting, run)};
  const json line = common_line(setting, run);
  std::vector<json> lines;
  for (const json& row : run.result.value("rows", json::array())) {
    const std::string place =
        fmt::format("{}: rows[{}]", (run.path() / "result.json").string(), lines.size());
    need_members(row, place, {{"code", Kind::text}, {"k", Kind::whole}, {"r", Kind::whole}});
    check_members(row, place,
                  {{"encoder", Kind::text},
                   {"loss", Kind::text},
                   {"channels", Kind::text},
                   {"seconds", Kind::number}});
    json own = line;
    for (const char* key : {"code", "k", "r"}) own[key] = row[key];
    own["encoder"] = row.value("encoder", "");
    own["loss"] = row.value("loss", "");
    own["channels"] = row.value("channels", "");
    own["setting"] = fmt::format("{} {} k={} r={} {}", setting.base.dataset, setting.base.label(),
                                 row["k"].get<std::int64_t>(), row["r"].get<std::int64_t>(),
                                 row["code"].get<std::string>());
    own["epochs"] = 0;
    own["epochs_published"] = 0;
    own["seconds"] = rounded(row.value("seconds", run.result.value("seconds", 0.0)));
    // A comparison has hundreds of rows; their curves of confidence stay in its folder.
    json values = values_of(row);
    for (const char* key : {"calibration", "declining"}) values.erase(key);
    own["values"] = rounded(values);
    lines.push_back(std::move(own));
  }
  return lines;
}

}  // namespace understudy::reproduce
