// The folder of a run (--out). tools/README.md describes its files:
//   config.toml header.json metrics.jsonl last.safetensors best.safetensors model.safetensors
//   result.json
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "tools/runs/folder_lock.h"
#include "tools/runs/json_output.h"
#include "tools/runs/options.h"

namespace understudy {

class RunFolder {
 public:
  enum class State {
    fresh,       // nothing was here
    unfinished,  // same settings, a checkpoint to continue from, and --resume was given
    finished,    // same settings and a result: nothing to do
  };

  // Looks at what is in options.common.out, and keeps other processes out of it as long as this
  // exists. `inputs` are the models that the run begins from, as the user named them (see
  // find_model). UsageError, saying what to do, when the folder is in use or holds a run with other
  // settings or of other inputs, an unfinished run without --resume, or other files. An unfinished
  // run continues with the threads it began with, unless --threads was given. With an empty --out
  // nothing is written but --json, and the state is fresh.
  explicit RunFolder(Options& options, const std::vector<std::filesystem::path>& inputs = {});

  State state() const { return state_; }
  bool writes() const { return !path_.empty(); }
  const std::filesystem::path& path() const { return path_; }
  // Where --resume starts; the same, of the best epoch; the best parameters alone.
  std::filesystem::path last() const { return path_ / "last.safetensors"; }
  std::filesystem::path best() const { return path_ / "best.safetensors"; }
  std::filesystem::path model() const { return path_ / "model.safetensors"; }

  // Makes the folder, header.json and config.toml, and says on stderr when the data are a sample.
  // On --resume, Error when the data differ from the header's, and a line on stderr when the machine
  // or the program do, because the results can then differ in their last digits.
  void write_header(const Dataset& train, const Dataset& test);
  void write_header(const nlohmann::json& dataset);  // any description, kept under "dataset"

  // One line of metrics.jsonl, there when the call returns. `line` has "epoch".
  void add_metrics(const nlohmann::json& line);
  // Drops the lines after `epoch`: those that the checkpoint a run continues from knows nothing of.
  void truncate_metrics(std::int64_t epoch);

  // Ends the run: result.json, and the same object to --json ("-" is stdout). Adds "program",
  // the settings that determine the result under "settings" and, where it was not the CPU,
  // "accelerator" and "precision".
  void finish(nlohmann::json result);
  // result.json of a finished run; also written again to --json.
  nlohmann::json repeat_result();

 private:
  void lock();
  nlohmann::json build() const;
  void continue_run(const nlohmann::json& header);

  Options& options_;
  JsonOutput json_output_;
  std::filesystem::path path_;
  State state_ = State::fresh;
  nlohmann::json inputs_ = nlohmann::json::object();
  FolderLock lock_;
};

// {"name", "train": 60000, "test": 10000, "sha256": {"train", "test"},
// "sample"} for a run's header.
nlohmann::json describe(const Dataset& train, const Dataset& test);

// The file with the parameters of `run_or_file`: itself, or a run folder's model.safetensors. Error
// when there is none, saying what a run folder has.
std::filesystem::path find_model(const std::filesystem::path& run_or_file);

}  // namespace understudy
