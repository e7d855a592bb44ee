#include "tools/reproduce/result_line.h"

#include <fmt/format.h>

#include <cmath>

#include "tools/reproduce/plan.h"

namespace understudy::reproduce {

using nlohmann::json;

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

void add_origin(json& line, const FolderState& state) {
  line["commit"] = state.header.value("commit", "unknown");
  line["device"] = state.header.value("device", "cpu");
  line["instruction_set"] = state.header.value("instruction_set", "");
  line["threads"] = state.header.value("threads", 0);
  for (const char* name : {"accelerator", "precision"})
    if (state.header.contains(name)) line[name] = state.header[name];
}

std::string command_of(const Setting& setting, const FinishedRun& run) {
  const json& header = run.state.header;
  const json settings = header.value("settings", json::object());
  const Plan plan = make_plan({setting}, run.out,
                              {.device = settings.value("device", "cpu"),
                               .precision = header.value("precision", "fp32"),
                               .nondeterministic = settings.value("nondeterministic", false)});
  return plan.jobs[plan.of_setting[0]].command();
}

std::string reduction_of(const BaseModel& base) {
  constexpr std::int64_t published_width = 64;
  return base.width > 0 && base.width < published_width ? fmt::format("width {}", base.width) : "";
}

}  // namespace understudy::reproduce
