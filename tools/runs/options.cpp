#include "tools/runs/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/parallel.h"
#include "tools/runs/program.h"

namespace understudy {
namespace {

// Settings of one call, which say nothing about the run.
constexpr const char* of_the_call[] = {"resume", "config", "json", "quiet", "profile"};

// UNDERSTUDY_BATCH_SIZE for batch-size.
std::string environment_name(const std::string& setting) {
  std::string name = "UNDERSTUDY_";
  for (const char c : setting)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

const char* environment(const std::string& setting) {
  const char* value = std::getenv(environment_name(setting).c_str());
  return value && *value ? value : nullptr;
}

// In quotes, with control characters and what is no UTF-8 escaped: a file may hold anything.
std::string quoted(const std::string& text) {
  return nlohmann::json(text.substr(0, 60))
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// The number of insertions, removals and changes of a letter that lead from a to b.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

// "; did you mean epochs?" for a near miss, else "".
std::string suggestion(const std::string& name,
                       const std::vector<std::unique_ptr<Setting>>& settings,
                       const std::string& before) {
  const Setting* best = nullptr;
  std::size_t distance = 3;
  for (const auto& setting : settings) {
    const std::size_t d = edit_distance(name, setting->name());
    if (d < distance) distance = d, best = setting.get();
  }
  return best ? fmt::format("; did you mean {}{}?", before, best->name()) : "";
}

}  // namespace

Options::Options(ProgramText text, CommonOptions defaults, const std::vector<std::string>& without)
    : common(std::move(defaults)), text_(std::move(text)) {
  const auto has = [&](const char* name) {
    return std::find(without.begin(), without.end(), name) == without.end();
  };
  if (has("dataset")) add("dataset", &common.dataset, "name of the data set");
  if (has("data-dir"))
    add("data-dir", &common.data_dir, "folder that holds mnist/, fashion-mnist/, cifar-10/").free();
  if (has("model")) add("model", &common.model, "name of the network");
  if (has("epochs"))
    add("epochs", &common.epochs, "passes over the training data").at_least(1).at_most(1e6);
  if (has("batch-size"))
    add("batch-size", &common.batch_size, "images in a step").at_least(1).at_most(1 << 20);
  if (has("lr")) add("lr", &common.lr, "learning rate").above(0);
  if (has("seed")) add("seed", &common.seed, "the one seed of all random numbers");
  if (has("threads"))
    add("threads", &common.threads, "worker threads; 0: as many as there are cores")
        .at_least(0)
        .at_most(1024)
        .free();
  if (has("device")) {
    add("device", &common.device_name, "cpu, cuda or cuda:1");
    add("precision", &common.precision,
        "of the factors of products and convolutions; on cuda also tf32 and bf16")
        .one_of({"fp32", "tf32", "bf16"});
    add("nondeterministic", &common.nondeterministic,
        "on cuda: also algorithms whose last bits differ from run to run");
    if (has("no-graph"))
      add("no-graph", &common.no_graph,
          "on cuda: launch each step's kernels one by one, for debugging; the same bits (a CPU "
          "always does)")
          .free();
  }
  if (has("out")) add("out", &common.out, "folder of the run; empty: write no files").free();
  if (has("resume")) add("resume", &common.resume, "continue the unfinished run in --out").free();
  add("config", &common.config, "file with settings, one a line: epochs = 8").free();
  if (has("json")) add("json", &common.json, "write the final results there; - is stdout").free();
  add("quiet", &common.quiet, "say nothing on stderr while working").free();
}

Setting& Options::add(const std::string& name, Setting::Target target, const std::string& help) {
  settings_.push_back(std::make_unique<Setting>(name, target, help));
  return *settings_.back();
}

Setting& Options::setting(const std::string& name) {
  for (const auto& setting : settings_)
    if (setting->name() == name) return *setting;
  fail("{} has no setting {}", text_.name, name);
}

void Options::parse(int argc, const char* const* argv) {
  command_ = fmt::format("{}", fmt::join(argv, argv + argc, " "));
  CLI::App app(text_.summary, text_.name);
  app.footer(
      fmt::format("\nExample:\n  {}\n\nA flag beats the environment (UNDERSTUDY_EPOCHS=8), which "
                  "beats the file of --config\n(epochs = 8), which beats the default.",
                  text_.example));
  bool show_version = false;
  app.add_flag("--version", show_version, "print version and git commit");

  // CLI11 only splits the command line; conversion and limits are Setting's, for all sources alike.
  std::vector<std::string> typed(settings_.size());
  std::vector<CLI::Option*> flags;
  for (std::size_t i = 0; i < settings_.size(); ++i) {
    const Setting& setting = *settings_[i];
    const std::string rule = setting.rule();
    const std::string help = setting.help() + (rule.empty() ? "" : " (" + rule + ")");
    CLI::Option* flag = setting.is_flag() ? app.add_flag("--" + setting.name(), help)
                                          : app.add_option("--" + setting.name(), typed[i], help)
                                                ->type_name(setting.type())
                                                ->default_str(setting.text())
                                                ->take_last();
    flags.push_back(flag);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    throw Exit{0};
  } catch (const CLI::ExtrasError&) {
    const std::string first = app.remaining().at(0);
    const std::string name = first.substr(0, first.find('=')).substr(first.find_first_not_of('-'));
    if (first.starts_with('-'))
      throw UsageError(fmt::format("unknown flag {}{}", first, suggestion(name, settings_, "--")));
    throw UsageError(
        fmt::format("unexpected argument '{}'; values follow a flag, see --help", first));
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (show_version) {
    fmt::print("{} {} (commit {})\n", text_.name, version(), commit());
    throw Exit{0};
  }

  std::vector<bool> is_set(settings_.size());
  for (std::size_t i = 0; i < settings_.size(); ++i) {
    Setting& setting = *settings_[i];
    if (flags[i]->count() > 0) {
      setting.set(setting.is_flag() ? "true" : typed[i], "--" + setting.name());
      is_set[i] = true;
    } else if (const char* value = environment(setting.name())) {
      // UNDERSTUDY_DATA_DIR is a place that load_dataset searches among others, while --data-dir is
      // the only one; here it just keeps the file's data-dir from counting.
      if (setting.name() != "data-dir") setting.set(value, environment_name(setting.name()));
      is_set[i] = true;
    }
  }
  if (!common.config.empty()) read_file(is_set);

  threads_given_ = common.threads != 0;
  common.device = parse_device(common.device_name);
  if (common.nondeterministic && common.device.kind == DeviceKind::cpu)
    throw UsageError("--nondeterministic: the CPU has no such algorithms");
  backend(common.device)
      .set_numerics({.precision = parse_precision(common.precision),
                     .deterministic = !common.nondeterministic});
  if (common.threads == 0)
    common.threads = num_threads();
  else
    set_num_threads(static_cast<int>(common.threads));
}

void Options::read_file(std::vector<bool>& is_set) {
  const std::string file = common.config.string();
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored))
    throw UsageError(fmt::format("--config {}: is no regular file", file));
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_file(file);
  } catch (const CLI::FileError&) {
    throw UsageError(fmt::format("--config {}: there is no such file that can be read", file));
  } catch (const CLI::Error& error) {
    throw UsageError(fmt::format("--config {}: {}", file, error.what()));
  }
  for (const CLI::ConfigItem& item : items) {
    std::size_t i = 0;
    while (i < settings_.size() && settings_[i]->name() != item.name) ++i;
    if (!item.parents.empty() || item.name == "++")
      throw UsageError(fmt::format("{}: section {}; settings stand without sections", file,
                                   quoted(fmt::format("{}", fmt::join(item.parents, ".")))));
    if (i == settings_.size() || item.name == "config")
      throw UsageError(fmt::format("{}: unknown key {}{}", file, quoted(item.name),
                                   suggestion(item.name, settings_, "")));
    // CLI11 also gathers the values of a key that stands there twice.
    if (item.inputs.size() != 1 && !settings_[i]->is_list())
      throw UsageError(
          fmt::format("{}: {} has {} values, expected one", file, item.name, item.inputs.size()));
    if (!is_set[i])
      settings_[i]->set(fmt::format("{}", fmt::join(item.inputs, ",")), item.name + " in " + file);
  }
}

std::string Options::toml() const {
  std::string text;
  for (const auto& setting : settings_)
    if (std::find(std::begin(of_the_call), std::end(of_the_call), setting->name()) ==
        std::end(of_the_call))
      text += setting->toml() + "\n";
  return text;
}

nlohmann::json Options::identity() const {
  nlohmann::json result = nlohmann::json::object();
  for (const auto& setting : settings_)
    if (!setting->is_free()) result[setting->name()] = setting->json();
  return result;
}

nlohmann::json Options::completed(nlohmann::json identity) const {
  for (const auto& setting : settings_)
    if (identity.is_object() && !setting->is_free() && !identity.contains(setting->name()))
      identity[setting->name()] = setting->default_value();
  return identity;
}

std::string machine(const CommonOptions& common) {
  if (common.device == Device{}) return instruction_set();
  return fmt::format("{} {}, {}{}{}", to_string(common.device), backend(common.device).describe(),
                     common.precision, common.nondeterministic ? ", nondeterministic" : "",
                     common.no_graph ? ", without graphs" : "");
}

nlohmann::json accelerator(const CommonOptions& common) {
  if (common.device == Device{}) return nlohmann::json::object();
  return {{"accelerator", backend(common.device).describe()}, {"precision", common.precision}};
}

std::vector<std::string> split_list(const std::string& text, const char* flag) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    items.push_back(text.substr(begin, comma - begin));
    if (items.back().empty())
      throw UsageError(fmt::format("{} '{}': an item between the commas is empty", flag, text));
    begin = comma + 1;
  }
  return items;
}

}  // namespace understudy
