#include "tools/reproduce/results.h"

#include <fmt/format.h>

#include <fstream>

#include "engine/atomic_file.h"
#include "kernels/check.h"
#include "tools/reproduce/members.h"
#include "tools/reproduce/plan.h"
#include "tools/reproduce/result_line.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

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
  json line = {{"kind", "experiment"},
               {"experiment", experiment.name},
               {"title", experiment.title},
               {"source", experiment.source},
               {"machine", machine},
               {"command", command},
               {"settings", experiment.settings.size()},
               {"cut", cut}};
  if (!experiment.notes.empty()) line["notes"] = experiment.notes;
  return line;
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
  const FinishedRun run{out, folder, look_into(out / folder), result_in(out / folder)};
  std::vector<json> lines =
      std::visit([&](const auto& kind) { return lines_of(kind, run); }, setting);
  for (json& line : lines) line["experiment"] = experiment.name;
  return lines;
}

std::string summary(const json& line) {
  const json& values = line.at("values");
  const auto written = [&](const char* key, double factor, const char* unit) {
    return values.contains(key) && values[key].is_number()
               ? fmt::format("{:.2f} {}", factor * values[key].get<double>(), unit)
               : std::string("–");
  };
  std::string text = line.at("setting").get<std::string>();
  if (line.at("kind") == "merge") {
    text += " " + line.at("method").get<std::string>();
    for (const auto& [key, name] : {std::pair{"points", " P="},
                                    {"fisher", " "},
                                    {"fisher_data", " "},
                                    {"damping", " damping="}}) {
      const json& value = line.at(key);
      if (value.is_string()) text += name + value.get<std::string>();
      if (value.is_number_integer()) text += name + value.dump();
      if (value.is_number_float()) text += fmt::format("{}{:g}", name, value.get<double>());
    }
    text =
        fmt::format("normalised {:>8}  {:>10}  {}", written("normalised_decoding_accuracy", 1, "%"),
                    written("seconds", 1, "s"), text);
  } else {
    text = fmt::format("{:<52} recovery {:>8}  overall {:>8}", text,
                       written("test_recovery_accuracy", 100, "%"),
                       written("test_overall_accuracy", 100, "%"));
  }
  const std::string reduced = line.at("reduced").get<std::string>();
  return reduced.empty() ? text : text + "  (" + reduced + ")";
}

namespace {

// "kind" first: it says how to read the rest.
std::string written(const json& line) {
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
  for (const json& line : lines) text += written(line) + "\n";
  write_file_atomically(file, text);
}

}  // namespace understudy::reproduce
