#include "tools/reproduce/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernels/check.h"
#include "tools/reproduce/recipe.h"
#include "tools/reproduce/section.h"
#include "tools/reproduce/sections.h"
#include "tools/reproduce/source.h"

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;
using ReadSettings = std::vector<Setting> (*)(const Reading&, const toml::table&);

constexpr std::pair<const char*, ReadSettings> setting_sections[] = {
    {"grid", grid_settings}, {"comparison", comparison_settings}, {"merge", merge_settings}};

// The sections of settings, in the order in which they stand in the file.
std::vector<std::pair<const toml::table*, ReadSettings>> sections_of(const Source& source) {
  std::vector<std::pair<const toml::table*, ReadSettings>> sections;
  for (const auto& [kind, read] : setting_sections) {
    const toml::node* node = source.root.get(kind);
    if (!node) continue;
    const toml::array* list = node->as_array();
    const Section top(source.file, kind, source.root);
    if (!list) top.fail_at(*node, fmt::format("expected [[{}]], with two brackets", kind));
    for (const toml::node& item : *list) {
      if (!item.is_table()) top.fail_at(item, "expected a section of its own");
      sections.emplace_back(item.as_table(), read);
    }
  }
  std::sort(sections.begin(), sections.end(), [](const auto& a, const auto& b) {
    return a.first->source().begin < b.first->source().begin;
  });
  return sections;
}

std::vector<nlohmann::json> published_in(const std::string& file, const toml::table& root) {
  std::vector<nlohmann::json> figures;
  const toml::array* list = root["published"].as_array();
  if (!list) return figures;
  for (const toml::node& item : *list) {
    const toml::table* table = item.as_table();
    if (!table) throw UsageError(fmt::format("{}: published: expected [[published]]", file));
    const Section section(file, "published", *table);
    section.only({"dataset", "base", "k", "r", "code", "metric", "value", "note"});
    const auto value = (*table)["value"].value<double>();
    if (!value) section.fail_at("value", "a number");
    if (!section.has("metric")) section.fail_at("metric", "the name of a value of a result line");
    nlohmann::json figure = {{"dataset", section.text("dataset")},
                             {"base", section.text("base")},
                             {"code", section.text("code")},
                             {"metric", section.text("metric")},
                             {"value", *value},
                             {"note", section.text("note")}};
    for (const char* key : {"k", "r"})
      if (section.has(key)) figure[key] = section.whole(key, 0, 0);
    figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace

Experiment read_experiment(const fs::path& path, const Overrides& overrides) {
  std::vector<Source> sources;
  sources.push_back(read_source(path));
  const std::string file = sources[0].file;
  Experiment experiment;
  experiment.name = path.stem().string();
  experiment.sha256 = sources[0].sha256;
  {
    const Section top(file, "experiment", sources[0].root);
    std::vector<std::string> known = {"title", "source", "notes", "base-models", "published"};
    known.insert(known.end(), recipe_kinds.begin(), recipe_kinds.end());
    for (const auto& [kind, read] : setting_sections) known.emplace_back(kind);
    top.only(known);
    experiment.title = top.text("title");
    experiment.source = top.text("source");
    experiment.notes = top.texts("notes");
    if (experiment.title.empty()) top.fail_at("title", "a line that says what the experiment is");
    if (top.has("base-models")) {
      Source shared = read_source(path.parent_path() / top.text("base-models"));
      Section(shared.file, "base models", shared.root).only(recipe_kinds);
      experiment.sha256 += shared.sha256;
      sources.push_back(std::move(shared));
    }
  }

  // Seeds of the command line come one after the other: all settings of the first before the next.
  const std::vector<std::int64_t> seeds =
      overrides.seeds.empty() ? std::vector<std::int64_t>{1} : overrides.seeds;
  for (const std::int64_t seed : seeds)
    for (const auto& [table, read] : sections_of(sources[0])) {
      std::vector<Setting> settings =
          read({.sources = sources, .overrides = overrides, .seed = seed}, *table);
      std::move(settings.begin(), settings.end(), std::back_inserter(experiment.settings));
    }
  if (experiment.settings.empty())
    throw UsageError(fmt::format("{}: has no [[grid]], no [[comparison]] and no [[merge]]", file));
  experiment.published = published_in(file, sources[0].root);
  return experiment;
}

}  // namespace understudy::reproduce
