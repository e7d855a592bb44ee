#include "tools/reproduce/results.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <set>

#include "engine/atomic_file.h"
#include "kernels/check.h"
#include "tools/reproduce/members.h"
#include "tools/reproduce/plan.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// With six digits: what is beyond them differs from machine to machine, and these lines are kept.
json rounded(const json& value) {
  if (value.is_number_float()) {
    const double exact = value.get<double>();
    return std::isfinite(exact) ? json(std::stod(fmt::format("{:.6g}", exact))) : json();
  }
  if (!value.is_structured()) return value;
  json result = value;
  for (json& item : result) item = rounded(item);
  return result;
}

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
void add_group_accuracy(json& values, const Setting& setting) {
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
std::string reduction(const Setting& setting, const FolderState& state) {
  std::vector<std::string> parts;
  if (setting.base.width > 0 && setting.base.width < 64)
    parts.push_back(fmt::format("width {}", setting.base.width));
  const json data = state.header.value("dataset", json::object());
  if (data.is_object() && data.value("sample", false))
    parts.push_back(fmt::format("{} training images", data.value("train", 0)));
  if (!setting.compares() && state.epochs < setting.epochs_published)
    parts.push_back(fmt::format("{} of {} epochs", state.epochs, setting.epochs_published));
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

// The base model as it describes itself; a comparison's header may not say it.
std::string base_model(const Setting& setting, const FolderState& state, const fs::path& out) {
  const json data = state.header.value("dataset", json::object());
  if (data.contains("base")) return data["base"].value("model", "");
  const fs::path base = out / folder_of(setting.base);
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

std::string first_processor() {
  std::ifstream stream("/proc/cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace

std::string machine(int cores) {
  return fmt::format("{}, {} core{}", first_processor(), cores, cores == 1 ? "" : "s");
}

json experiment_line(const Experiment& experiment, const std::string& machine,
                     const std::string& command, const std::vector<std::string>& cut) {
  return {{"kind", "experiment"},
          {"experiment", experiment.name},
          {"title", experiment.title},
          {"source", experiment.source},
          {"machine", machine},
          {"command", command},
          {"settings", experiment.settings.size()},
          {"cut", cut}};
}

std::vector<json> published_lines(const Experiment& experiment) {
  std::vector<json> lines;
  for (const json& figure : experiment.published) {
    json line = figure;
    line["kind"] = "published";
    line["experiment"] = experiment.name;
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<json> result_lines(const Experiment& experiment, const Setting& setting,
                               const fs::path& out) {
  const std::string folder = best_folder_of(setting, out);
  if (folder.empty()) return {};
  const FolderState state = look_into(out / folder);
  const json result = result_in(out / folder);

  // The command as it would be typed in --out, with the epochs that the folder has.
  Setting held = setting;
  if (!setting.compares()) held.epochs = state.epochs;
  const Plan plan = make_plan({held}, out, state.header.value("device", "cpu"));
  const Job& job = plan.jobs[plan.of_setting[0]];

  json line = {{"kind", "result"},
               {"experiment", experiment.name},
               {"dataset", setting.base.dataset},
               {"base", setting.base.model},
               {"base_model", base_model(setting, state, out)},
               {"reduced", reduction(setting, state)},
               {"seed", setting.base.seed},
               {"commit", state.header.value("commit", "unknown")},
               {"device", state.header.value("device", "cpu")},
               {"instruction_set", state.header.value("instruction_set", "")},
               {"threads", state.header.value("threads", 0)},
               {"command", job.command()}};
  if (!setting.compares()) {
    line["setting"] = setting.text();
    line["code"] = setting.code;
    line["encoder"] = setting.encoder;
    line["loss"] = setting.loss;
    line["channels"] = setting.channels;
    line["k"] = setting.k;
    line["r"] = setting.r;
    line["epochs"] = state.epochs;
    line["epochs_published"] = setting.epochs_published;
    line["seconds"] = rounded(result.value("seconds", 0.0));
    json values = values_of(result);
    add_group_accuracy(values, setting);
    line["values"] = rounded(values);
    line["curve"] = curve_of(out / folder);
    return {line};
  }
  std::vector<json> lines;
  for (const json& row : result.value("rows", json::array())) {
    const std::string place =
        fmt::format("{}: rows[{}]", (out / folder / "result.json").string(), lines.size());
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
    own["seconds"] = rounded(row.value("seconds", result.value("seconds", 0.0)));
    // A comparison has hundreds of rows; their curves of confidence stay in its folder.
    json values = values_of(row);
    for (const char* key : {"calibration", "declining"}) values.erase(key);
    own["values"] = rounded(values);
    lines.push_back(std::move(own));
  }
  return lines;
}

namespace {

// "kind" first: it says how to read the rest.
std::string text_of(const json& line) {
  nlohmann::ordered_json ordered = {{"kind", line.at("kind")}};
  for (const auto& [name, value] : line.items())
    if (name != "kind") ordered[name] = value;
  return ordered.dump();
}

// The lines of the file with the experiment that each belongs to.
std::vector<std::pair<std::string, std::string>> lines_in(const fs::path& file) {
  std::vector<std::pair<std::string, std::string>> lines;
  std::ifstream stream(file);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const json value = json::parse(line, nullptr, false);
    check(value.is_object() && value.contains("experiment") && value["experiment"].is_string(),
          "{}:{}: expected a JSON object with an experiment; the file is damaged", file.string(),
          number);
    lines.emplace_back(value["experiment"], line);
  }
  return lines;
}

}  // namespace

json experiment_line_in(const fs::path& file, const std::string& name) {
  int number = 0;
  for (const auto& [experiment, line] : lines_in(file)) {
    ++number;
    if (experiment != name) continue;
    json value = json::parse(line);
    check_members(value, fmt::format("{}:{}", file.string(), number),
                  {{"kind", Kind::text},
                   {"command", Kind::text},
                   {"machine", Kind::text},
                   {"cut", Kind::texts}});
    if (value.value("kind", "") == "experiment") return value;
  }
  return json::object();
}

void write_results(const fs::path& file, const std::string& name, const std::vector<json>& lines) {
  std::string text;
  for (const auto& [experiment, line] : lines_in(file))
    if (experiment != name) text += line + "\n";
  for (const json& line : lines) text += text_of(line) + "\n";
  write_file_atomically(file, text);
}

}  // namespace understudy::reproduce
