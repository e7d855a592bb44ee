#include <fmt/format.h>

#include <algorithm>

#include "coding/learned/learned_code.h"
#include "coding/query_codes.h"
#include "datasets/dataset.h"
#include "models/registry.h"
#include "tools/reproduce/axes.h"
#include "tools/reproduce/recipe.h"
#include "tools/reproduce/sections.h"
#include "tools/runs/code_values.h"

namespace understudy::reproduce {
namespace {

using Names = std::vector<std::string>;

const Names shared_axes = {"dataset", "base", "width", "seed"};
const Names code_axes = {"code", "encoder", "loss", "channels", "k", "r"};
const Names code_flags = {"augment", "batch-size", "lr", "weight-decay", "schedule", "validation"};
const WholeFlags code_wholes = {{"batch-size", 0}, {"validation", 1}};

Names operator+(Names a, const Names& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<Axis> needed_axes(const Reading& reading, const Section& section, const Names& keys) {
  for (const char* needed : {"dataset", "base"})
    if (!section.has(needed)) section.fail_at(needed, "one or a list of them");
  std::vector<Axis> axes = axes_of(section, keys);
  if (!reading.overrides.seeds.empty())
    put_first(axes, {"seed", {fmt::format("{}", reading.seed)}});
  return axes;
}

BaseModel chosen_base(const Reading& reading, const Section& section, const Combination& chosen) {
  const std::string dataset = chosen.one_of("dataset", dataset_names());
  const std::string model = chosen.one_of("base", model_names());
  BaseModel base = base_model(reading.sources, "base", model, dataset, section);
  base.seed = chosen.whole("seed", 0, 1);
  if (section.has("width") && model == "resnet18") base.width = chosen.whole("width", 0, 0);
  if (reading.overrides.width > 0 && model == "resnet18") base.width = reading.overrides.width;
  return base;
}

}  // namespace

std::vector<Setting> comparison_settings(const Reading& reading, const toml::table& table) {
  const Section section(reading.file(), "comparison", table);
  section.only(shared_axes + Names{"codes", "k", "r", "label"});
  std::vector<Setting> settings;
  multiply(section, needed_axes(reading, section, shared_axes), [&](const Combination& chosen) {
    CodeSetting setting{.base = chosen_base(reading, section, chosen)};
    setting.codes = section.values("codes");
    if (setting.codes.empty()) section.fail_at("codes", "a list of codes");
    for (const std::string& name : setting.codes)
      section.one_of("codes", name, Names{"all"} + query_code_names());
    setting.ks = section.wholes("k", 1, most_queries);
    setting.rs = section.wholes("r", 1, most_parities);
    setting.label = section.text("label");
    settings.emplace_back(std::move(setting));
  });
  return settings;
}

std::vector<Setting> grid_settings(const Reading& reading, const toml::table& table) {
  const Section section(reading.file(), "grid", table);
  const Names multiplied = shared_axes + code_axes;
  section.only(multiplied + Names{"epochs", "published-epochs", "least-epochs"} + code_flags);
  std::vector<Setting> settings;
  multiply(section, needed_axes(reading, section, multiplied), [&](const Combination& chosen) {
    CodeSetting setting{.base = chosen_base(reading, section, chosen)};
    setting.code = chosen.one_of("code", {"learned", "parity-sum", "parity-concat"}, "learned");
    const bool learned = setting.code == "learned";
    if (!learned && section.has("encoder"))
      section.fail_at("encoder", fmt::format("only where code is learned, not {}", setting.code));
    setting.encoder = learned ? chosen.one_of("encoder", encoder_names(), "mlp") : "";
    setting.loss = chosen.one_of("loss", {"mse", "kl", "xent"}, "mse");
    setting.channels = chosen.one_of("channels", {"aligned", "interleaved"}, "aligned");
    setting.k = chosen.whole("k", 1, 2, most_queries);
    setting.r = chosen.whole("r", 1, 1, most_parities);
    setting.epochs_published = section.whole("published-epochs", 1, 0);
    setting.epochs = section.whole("epochs", 1, setting.epochs_published);
    if (setting.epochs == 0) section.fail_at("epochs", "a whole number of at least 1");
    if (reading.overrides.most_epochs > 0)
      setting.epochs = std::min(setting.epochs, reading.overrides.most_epochs);
    setting.least_epochs = std::min(section.whole("least-epochs", 1, 3), setting.epochs);
    for (const std::string& name : code_flags) add_flag(section, name, code_wholes, setting.flags);
    settings.emplace_back(std::move(setting));
  });
  return settings;
}

}  // namespace understudy::reproduce
