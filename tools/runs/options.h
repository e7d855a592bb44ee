// The flags of a program. A value comes from the command line, else from the environment
// (UNDERSTUDY_BATCH_SIZE for --batch-size), else from the file of --config, else from the default;
// all four are read, converted and checked in the same way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "engine/repeated_step.h"
#include "kernels/device.h"

namespace understudy {

// What every program has. A program changes the defaults before it makes its Options.
struct CommonOptions {
  std::string dataset = "mnist";
  std::filesystem::path data_dir;  // empty: load_dataset searches its usual places
  std::string model = "mlp";
  std::int64_t epochs = 8;
  std::int64_t batch_size = 128;
  double lr = 1e-3;
  std::uint64_t seed = 1;
  std::int64_t threads = 0;  // 0: as many as the machine has; resolved by parse()
  std::string device_name = "cpu";
  std::string precision = "fp32";  // of products and convolutions (kernels/numerics.h)
  bool nondeterministic = false;
  bool no_graph = false;
  std::filesystem::path out;  // empty: nothing is written but --json
  bool resume = false;
  std::filesystem::path config;
  std::filesystem::path json;
  bool quiet = false;

  Device device;  // of device_name, set by parse()

  // How steps that can be recorded are to be done.
  StepMode step_mode() const { return no_graph ? StepMode::eager : StepMode::recorded; }
};
// What computes, for a line of text: "avx2", or "cuda:0 NVIDIA H200, ..., tf32".
std::string machine(const CommonOptions& common);
// {"accelerator": what it is, with the versions that results depend on, "precision"}; empty for the
// CPU, which instruction set and threads describe.
nlohmann::json accelerator(const CommonOptions& common);

// One flag: where its value goes and what it may be. The limits are also shown by --help.
class Setting {
 public:
  using Target = std::variant<std::string*, std::filesystem::path*, std::int64_t*, std::uint64_t*,
                              double*, bool*, std::vector<std::int64_t>*>;
  Setting(std::string name, Target target, std::string help);

  Setting& at_least(double low);
  Setting& above(double low);
  Setting& at_most(double high);
  Setting& below(double high);
  Setting& one_of(std::vector<std::string> choices);
  // Has no influence on the results: may differ when a run is resumed.
  Setting& free();

  const std::string& name() const { return name_; }
  const std::string& help() const { return help_; }
  bool is_free() const { return free_; }
  bool is_flag() const { return std::holds_alternative<bool*>(target_); }
  bool is_list() const { return std::holds_alternative<std::vector<std::int64_t>*>(target_); }
  // The value's type in --help: INT, NUMBER, TEXT, PATH, LIST.
  const char* type() const;
  // The value now, as it would be typed; "" for an empty one.
  std::string text() const;
  nlohmann::json json() const;
  const nlohmann::json& default_value() const { return default_; }  // likewise, as registered
  // The value now as a line of config.toml: batch-size = 128
  std::string toml() const;
  // "at least 1", "one of adam, sgd"; "" where anything goes.
  std::string rule() const;
  // Converts and checks. UsageError names `source`, e.g. "--epochs" or "epochs in run.toml".
  void set(const std::string& text, const std::string& source);

 private:
  std::string name_;
  Target target_;
  std::string help_;
  nlohmann::json default_;
  double low_ = -std::numeric_limits<double>::infinity();
  double high_ = std::numeric_limits<double>::infinity();
  bool low_excluded_ = false;
  bool high_excluded_ = false;
  std::vector<std::string> choices_;
  bool free_ = false;
};

// What --help says around the list of flags.
struct ProgramText {
  std::string name;     // "train_classifier"
  std::string summary;  // one or two sentences
  std::string example;  // a whole command and the last line to expect
};

class Options {
 public:
  // Registers the common flags with `defaults`, except those named in `without` ("model", "lr"): a
  // program has no flag that it would ignore.
  explicit Options(ProgramText text, CommonOptions defaults = {},
                   const std::vector<std::string>& without = {});
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  CommonOptions common;

  // A flag of this program: --name VALUE. `target` holds the default, receives the value, and must
  // outlive the Options. A bool is a flag without a value; a vector is written 200,100.
  Setting& add(const std::string& name, Setting::Target target, const std::string& help);
  // The flag, to add to its limits: options.setting("model").one_of({"mlp", "logistic"}).
  Setting& setting(const std::string& name);

  // Reads all four sources. UsageError for unknown flags, unknown keys in the file and impossible
  // values, such as a precision that the device does not have; throws Exit{0} after --help and
  // --version. Afterwards common.threads and common.device are resolved, the worker pool has that
  // many threads, and the device computes with that precision.
  void parse(int argc, const char* const* argv);

  // Whether a number of threads was asked for; RunFolder takes a resumed run's own otherwise.
  bool threads_given() const { return threads_given_; }
  const ProgramText& program() const { return text_; }
  const std::string& command() const { return command_; }  // as typed, for the run's header
  // Every setting but those of one call alone (--resume, --config, --json, --quiet, --profile),
  // usable as the file of --config.
  std::string toml() const;
  // The settings that determine the result, by name.
  nlohmann::json identity() const;
  // `identity`, of another run, with the defaults of the settings that it lacks: it is older than
  // they are, and a new setting's default is what programs did before.
  nlohmann::json completed(nlohmann::json identity) const;

 private:
  void read_file(std::vector<bool>& is_set);

  ProgramText text_;
  std::vector<std::unique_ptr<Setting>> settings_;
  std::string command_;
  bool threads_given_ = false;
};

// "a,b" to {"a", "b"}. UsageError naming `flag` for an empty item.
std::vector<std::string> split_list(const std::string& text, const char* flag);

}  // namespace understudy
