#include "tools/reproduce/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/dataset.h"
#include "kernels/check.h"
#include "models/registry.h"

namespace understudy::reproduce {
namespace {

using Names = std::vector<std::string>;

const Names recipe_flags = {"hidden",          "no-batch-norm", "optimizer", "lr",   "momentum",
                            "nesterov",        "weight-decay",  "schedule",  "clip", "batch-size",
                            "label-smoothing", "validation",    "augment"};
const WholeFlags recipe_wholes = {{"batch-size", 1}, {"validation", 0}};

}  // namespace

void add_flag(const Section& section, const std::string& name, const WholeFlags& wholes,
              std::vector<Flag>& flags) {
  const Names values = section.values(name);
  if (values.empty() || values == Names{"false"}) return;
  const std::string text = fmt::format("{}", fmt::join(values, ","));
  if (const auto found = wholes.find(name); found != wholes.end())
    section.to_whole(name, text, found->second, 1 << 20);
  if (name == "hidden") try {
      parse_widths(text);
    } catch (const UsageError&) {
      section.fail_at(name, "widths: whole numbers of at least 1");
    }
  flags.push_back({name, values == Names{"true"} ? "" : text});
}

BaseModel base_model(const std::vector<Source>& sources, const std::string& kind,
                     const std::string& model, const std::string& dataset, const Section& user) {
  const toml::table* own = nullptr;
  std::string file;
  for (const Source& source : sources) {
    if (own) break;
    file = source.file;
    if (const toml::table* recipes = source.root[kind].as_table())
      own = (*recipes)[model].as_table();
  }
  if (!own)
    user.fail_at("base", fmt::format("a model with a recipe: there is no [{}.{}]", kind, model));

  const toml::table nothing;
  const toml::table* special = (*own)[dataset].as_table();
  const Section usual(file, fmt::format("{}.{}", kind, model), *own);
  const Section here(file, fmt::format("{}.{}.{}", kind, model, dataset),
                     special ? *special : nothing);
  Names keys = {"width", "epochs"};
  keys.insert(keys.end(), recipe_flags.begin(), recipe_flags.end());
  here.only(keys);
  keys.insert(keys.end(), dataset_names().begin(), dataset_names().end());
  usual.only(keys);
  const auto section_with = [&](const std::string& key) -> const Section& {
    return here.has(key) ? here : usual;
  };
  BaseModel base{.dataset = dataset, .model = model};
  base.width = section_with("width").whole("width", 0, 0);
  base.epochs = section_with("epochs").whole("epochs", 1, base.epochs);
  for (const std::string& name : recipe_flags)
    add_flag(section_with(name), name, recipe_wholes, base.flags);
  return base;
}

}  // namespace understudy::reproduce
