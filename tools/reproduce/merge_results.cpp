#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "tools/reproduce/members.h"
#include "tools/reproduce/result_line.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;

// The models' width, and data sets that were read from a sample of the published one.
std::string reduction(const MergeSetting& setting, const FinishedRun& run) {
  std::vector<std::string> parts;
  if (std::string width = reduction_of(setting.models[0]); !width.empty())
    parts.push_back(std::move(width));
  const json sets = run.state.header.value("dataset", json::array());
  for (const json& data : sets.is_array() ? sets : json::array()) {
    check_members(data, (run.path() / "header.json").string() + ": dataset",
                  {{"name", Kind::text}, {"sample", Kind::truth}, {"train", Kind::whole}});
    if (data.value("sample", false))
      parts.push_back(fmt::format("{} training images of {}", data.value("train", 0),
                                  data.value("name", "one set")));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Its numbers that the line does not say elsewhere.
json values_of(const json& row) {
  static const std::set<std::string> elsewhere = {"points", "damping"};
  json values = json::object();
  for (const auto& [name, value] : row.items())
    if (value.is_number() && !elsewhere.contains(name)) values[name] = value;
  return values;
}

// One number of each task.
json of_tasks(const json& row, const char* key, const std::string& place) {
  json all = json::array();
  for (const json& task : row.value("tasks", json::array())) {
    need_members(task, place + ": tasks", {{key, Kind::number}});
    all.push_back(task[key]);
  }
  return all;
}

}  // namespace

std::vector<json> lines_of(const MergeSetting& setting, const FinishedRun& run) {
  std::vector<std::string> tasks;
  for (const BaseModel& model : setting.models) tasks.push_back(model.dataset);
  json common = {{"kind", "merge"},
                 {"setting", setting.text()},
                 {"tasks", tasks},
                 {"base", setting.models[0].model},
                 {"base_model", run.result.value("model", "")},
                 {"initialisation", setting.initialisation},
                 {"start", setting.start ? setting.start->dataset : ""},
                 {"models", setting.models.size()},
                 {"seed", setting.seed},
                 {"reduced", reduction(setting, run)},
                 {"command", command_of(setting, run)}};
  add_origin(common, run.state);

  std::vector<json> lines;
  for (const json& row : run.result.value("rows", json::array())) {
    const std::string place =
        fmt::format("{}: rows[{}]", (run.path() / "result.json").string(), lines.size());
    need_members(row, place,
                 {{"method", Kind::text},
                  {"seconds", Kind::number},
                  {"normalised_decoding_accuracy", Kind::number}});
    check_members(row, place, {{"tasks", Kind::list}, {"curve", Kind::list}});
    json line = common;
    line["method"] = row["method"];
    // Null where the method does not look at it.
    for (const char* key : {"points", "fisher", "fisher_data", "damping", "weights"})
      line[key] = rounded(row.value(key, json()));
    for (const char* key : {"searched", "by_late", "curve"})
      if (row.contains(key)) line[key] = rounded(row[key]);
    line["base_accuracies"] = rounded(of_tasks(row, "base_accuracy", place));
    line["decoded_accuracies"] = rounded(of_tasks(row, "decoded_accuracy", place));
    line["values"] = rounded(values_of(row));
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace understudy::reproduce
