#include "tools/reproduce/experiment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "coding/learned/learned_code.h"
#include "coding/query_codes.h"
#include "datasets/dataset.h"
#include "datasets/digest.h"
#include "kernels/check.h"
#include "models/registry.h"
#include "tools/reproduce/section.h"
#include "tools/runs/code_values.h"

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

// A parsed file.
struct Source {
  std::string file;
  std::string sha256;
  toml::table root;
};

Source read_source(const fs::path& path) {
  Source source{.file = path.string()};
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  if (!stream.good()) throw UsageError(fmt::format("{}: cannot be read", source.file));
  const std::string bytes = content.str();
  source.sha256 =
      sha256({std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())});
  try {
    source.root = toml::parse(bytes);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{}:{}: {}", source.file, error.source().begin.line, error.description()));
  }
  return source;
}

// Flags that are one whole number, with the least that the program takes.
using WholeFlags = std::map<std::string, std::int64_t>;
const WholeFlags recipe_wholes = {{"batch-size", 1}, {"validation", 0}},
                 code_wholes = {{"batch-size", 0}, {"validation", 1}};

// What stands under `name` as a flag is added; false is no flag. What the estimate computes with is
// checked here, where the line is known.
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

const Names recipe_flags = {"hidden",          "no-batch-norm", "optimizer", "lr",   "momentum",
                            "nesterov",        "weight-decay",  "schedule",  "clip", "batch-size",
                            "label-smoothing", "validation",    "augment"};
const Names code_flags = {"augment", "batch-size", "lr", "weight-decay", "schedule", "validation"};

Names operator+(Names a, const Names& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// [base.resnet18] of the first source that has it, and what [base.resnet18.cifar-10] says instead
// on that data set.
BaseModel base_model(const std::vector<Source>& sources, const std::string& model,
                     const std::string& dataset, const Section& user) {
  const toml::table* own = nullptr;
  std::string file;
  for (const Source& source : sources) {
    if (own) break;
    file = source.file;
    if (const toml::table* recipes = source.root["base"].as_table())
      own = (*recipes)[model].as_table();
  }
  if (!own)
    user.fail_at("base", fmt::format("a model with a recipe: there is no [base.{}]", model));

  const toml::table nothing;
  const toml::table* special = (*own)[dataset].as_table();
  const Section usual(file, "base." + model, *own);
  const Section here(file, fmt::format("base.{}.{}", model, dataset), special ? *special : nothing);
  const Names keys = Names{"width", "epochs"} + recipe_flags;
  usual.only(keys + dataset_names());
  here.only(keys);
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

// A key whose values are multiplied with those of the others.
struct Axis {
  std::string key;
  Names values;
};

// Calls `visit` for every combination; the last axis varies fastest.
void multiply(const std::vector<Axis>& axes,
              const std::function<void(const std::map<std::string, std::string>&)>& visit) {
  std::map<std::string, std::string> chosen;
  const std::function<void(std::size_t)> go = [&](std::size_t depth) {
    if (depth == axes.size()) return visit(chosen);
    for (const std::string& value : axes[depth].values) {
      chosen[axes[depth].key] = value;
      go(depth + 1);
    }
  };
  go(0);
}

// The axes that the section has, in the order in which it writes them.
std::vector<Axis> axes_of(const Section& section, const Names& keys) {
  std::vector<std::pair<toml::source_position, Axis>> found;
  for (const std::string& key : keys)
    if (section.has(key))
      found.push_back({section.table().get(key)->source().begin, {key, section.values(key)}});
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Axis> axes;
  axes.reserve(found.size());
  for (auto& [position, axis] : found) axes.push_back(std::move(axis));
  return axes;
}

void override_axes(std::vector<Axis>& axes, const std::string& key, const Names& values) {
  std::erase_if(axes, [&](const Axis& axis) { return axis.key == key; });
  axes.insert(axes.begin(), {key, values});
}

// [[grid]]: codes that are trained. [[comparison]]: codes that are not.
void add_settings(const std::vector<Source>& sources, const toml::table& table, bool compares,
                  const Overrides& overrides, std::int64_t seed, std::vector<Setting>& settings) {
  const Section section(sources[0].file, compares ? "comparison" : "grid", table);
  const Names shared = {"dataset", "base", "width", "seed"};
  const Names multiplied =
      compares ? shared : shared + Names{"code", "encoder", "loss", "channels", "k", "r"};
  const Names single = compares ? Names{"codes", "k", "r", "label"}
                                : Names{"epochs", "published-epochs", "least-epochs"} + code_flags;
  section.only(multiplied + single);
  for (const char* needed : {"dataset", "base"})
    if (!section.has(needed)) section.fail_at(needed, "one or a list of them");

  std::vector<Axis> axes = axes_of(section, multiplied);
  if (!overrides.seeds.empty()) override_axes(axes, "seed", {fmt::format("{}", seed)});

  multiply(axes, [&](const std::map<std::string, std::string>& chosen) {
    const auto value = [&](const char* key, const char* otherwise) {
      return chosen.contains(key) ? chosen.at(key) : std::string(otherwise);
    };
    const auto whole = [&](const char* key, std::int64_t low, const char* otherwise,
                           std::int64_t high = Section::no_limit) {
      return section.to_whole(key, value(key, otherwise), low, high);
    };
    Setting setting;
    const std::string dataset = section.one_of("dataset", value("dataset", ""), dataset_names());
    const std::string model = section.one_of("base", value("base", ""), model_names());
    setting.base = base_model(sources, model, dataset, section);
    setting.base.seed = whole("seed", 0, "1");
    if (section.has("width") && model == "resnet18") setting.base.width = whole("width", 0, "0");
    if (overrides.width > 0 && model == "resnet18") setting.base.width = overrides.width;

    if (compares) {
      setting.codes = section.values("codes");
      if (setting.codes.empty()) section.fail_at("codes", "a list of codes");
      for (const std::string& name : setting.codes)
        section.one_of("codes", name, Names{"all"} + query_code_names());
      setting.ks = section.wholes("k", 1, most_queries);
      setting.rs = section.wholes("r", 1, most_parities);
      setting.label = section.text("label");
    } else {
      setting.code = section.one_of("code", value("code", "learned"),
                                    {"learned", "parity-sum", "parity-concat"});
      const bool learned = setting.code == "learned";
      if (!learned && section.has("encoder"))
        section.fail_at("encoder", fmt::format("only where code is learned, not {}", setting.code));
      setting.encoder = learned ? value("encoder", "mlp") : "";
      if (learned) section.one_of("encoder", setting.encoder, encoder_names());
      setting.loss = section.one_of("loss", value("loss", "mse"), {"mse", "kl", "xent"});
      setting.channels =
          section.one_of("channels", value("channels", "aligned"), {"aligned", "interleaved"});
      setting.k = whole("k", 1, "2", most_queries);
      setting.r = whole("r", 1, "1", most_parities);
      setting.epochs_published = section.whole("published-epochs", 1, 0);
      setting.epochs = section.whole("epochs", 1, setting.epochs_published);
      if (setting.epochs == 0) section.fail_at("epochs", "a whole number of at least 1");
      if (overrides.most_epochs > 0)
        setting.epochs = std::min(setting.epochs, overrides.most_epochs);
      setting.least_epochs = std::min(section.whole("least-epochs", 1, 3), setting.epochs);
      for (const std::string& name : code_flags)
        add_flag(section, name, code_wholes, setting.flags);
    }
    settings.push_back(std::move(setting));
  });
}

// Grids and comparisons in the order in which they stand in the file.
std::vector<std::pair<const toml::table*, bool>> tables_of(const std::string& file,
                                                           const toml::table& root) {
  std::vector<std::pair<const toml::table*, bool>> tables;
  for (const char* kind : {"grid", "comparison"}) {
    const toml::node* node = root.get(kind);
    if (!node) continue;
    const toml::array* list = node->as_array();
    const Section top(file, kind, root);
    if (!list) top.fail_at(*node, fmt::format("expected [[{}]], with two brackets", kind));
    for (const toml::node& item : *list) {
      if (!item.is_table()) top.fail_at(item, "expected a section of its own");
      tables.emplace_back(item.as_table(), std::string(kind) == "comparison");
    }
  }
  std::sort(tables.begin(), tables.end(), [](const auto& a, const auto& b) {
    return a.first->source().begin < b.first->source().begin;
  });
  return tables;
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

std::string BaseModel::label() const {
  return width > 0 ? fmt::format("{}w{}", model, width) : model;
}

std::string Setting::text() const {
  if (compares())
    return fmt::format("{} {} k={} r={} without training: {}{}{}", base.dataset, base.label(),
                       fmt::join(ks, ","), fmt::join(rs, ","), fmt::join(codes, ","),
                       label.empty() ? "" : ", ", label);
  std::string text = fmt::format("{} {} k={} r={} {}", base.dataset, base.label(), k, r, code);
  if (!encoder.empty()) text += " " + encoder;
  text += fmt::format(" {} {}", loss, channels);
  for (const Flag& flag : flags)
    text += fmt::format(" {}{}{}", flag.name, flag.value.empty() ? "" : "=", flag.value);
  return text;
}

Experiment read_experiment(const fs::path& path, const Overrides& overrides) {
  std::vector<Source> sources;  // never copied: copies of a table forget their lines
  sources.push_back(read_source(path));
  const std::string file = sources[0].file;
  Experiment experiment;
  experiment.name = path.stem().string();
  experiment.sha256 = sources[0].sha256;
  {
    const Section top(file, "experiment", sources[0].root);
    top.only({"title", "source", "base-models", "base", "grid", "comparison", "published"});
    experiment.title = top.text("title");
    experiment.source = top.text("source");
    if (experiment.title.empty()) top.fail_at("title", "a line that says what the experiment is");
    if (top.has("base-models")) {
      Source shared = read_source(path.parent_path() / top.text("base-models"));
      Section(shared.file, "base models", shared.root).only({"base"});
      experiment.sha256 += shared.sha256;
      sources.push_back(std::move(shared));
    }
  }
  const toml::table& root = sources[0].root;

  // Seeds of the command line come one after the other: all settings of the first before the next.
  const std::vector<std::int64_t> seeds =
      overrides.seeds.empty() ? std::vector<std::int64_t>{1} : overrides.seeds;
  for (const std::int64_t seed : seeds)
    for (const auto& [table, compares] : tables_of(file, root))
      add_settings(sources, *table, compares, overrides, seed, experiment.settings);
  if (experiment.settings.empty())
    throw UsageError(fmt::format("{}: has no [[grid]] and no [[comparison]]", file));
  experiment.published = published_in(file, root);
  return experiment;
}

}  // namespace understudy::reproduce
