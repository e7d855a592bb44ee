#include "tools/reproduce/setting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

namespace understudy::reproduce {
namespace {

std::string flag_text(const Flag& flag) {
  return fmt::format(" {}{}{}", flag.name, flag.value.empty() ? "" : "=", flag.value);
}

}  // namespace

std::string BaseModel::label() const {
  return width > 0 ? fmt::format("{}w{}", model, width) : model;
}

std::string CodeSetting::text() const {
  if (compares())
    return fmt::format("{} {} k={} r={} without training: {}{}{}", base.dataset, base.label(),
                       fmt::join(ks, ","), fmt::join(rs, ","), fmt::join(codes, ","),
                       label.empty() ? "" : ", ", label);
  std::string text = fmt::format("{} {} k={} r={} {}", base.dataset, base.label(), k, r, code);
  if (!encoder.empty()) text += " " + encoder;
  text += fmt::format(" {} {}", loss, channels);
  for (const Flag& flag : flags) text += flag_text(flag);
  return text;
}

std::string MergeSetting::tasks() const {
  std::string text;
  for (const BaseModel& model : models) text += (text.empty() ? "" : "+") + model.dataset;
  return text;
}

std::string MergeSetting::text() const {
  // What the rows say themselves, and what changes no result.
  static const std::set<std::string> elsewhere = {"points", "fisher", "fisher-data", "damping",
                                                  "curve"};
  std::string text = fmt::format("{} {} {}", tasks(), models[0].label(), initialisation);
  if (start) text += " on " + start->dataset;
  if (!label.empty()) text += ", " + label;
  for (const Flag& flag : flags)
    if (!elsewhere.contains(flag.name)) text += flag_text(flag);
  return text;
}

std::string text_of(const Setting& setting) {
  return std::visit([](const auto& kind) { return kind.text(); }, setting);
}

CodeSetting* trained_code(Setting& setting) {
  auto* code = std::get_if<CodeSetting>(&setting);
  return code && !code->compares() ? code : nullptr;
}

const CodeSetting* trained_code(const Setting& setting) {
  const auto* code = std::get_if<CodeSetting>(&setting);
  return code && !code->compares() ? code : nullptr;
}

}  // namespace understudy::reproduce
