// From settings to runs: which folder holds which, by which command, and what must be there first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "tools/reproduce/experiment.h"
#include "tools/reproduce/folder.h"

namespace understudy::reproduce {

// Where the runs compute, and how: flags that all programs have.
struct ComputeFlags {
  std::string device = "cpu";
  std::string precision = "fp32";
  bool nondeterministic = false;
};

// One run of another program, in a folder of its own.
struct Job {
  std::variant<BaseModel, CodeSetting, MergeSetting> of;  // what it makes
  std::string folder;                                     // its name in --out
  std::string program;                                    // "train_code"
  std::vector<std::string> arguments;  // those that determine the result; paths relative to --out
  std::vector<std::size_t> after;      // jobs that must have ended well
  std::int64_t epochs = 0;             // 0 for a comparison and a merge, which have none
  // Runs of one kind take equally long: the arguments but for seed, loss and folders.
  std::string kind;
  FolderState before;  // what the folder held when the plan was made

  bool needed = true;  // false for a model that no run to come begins from

  bool finished() const { return before.finished; }
  bool to_run() const { return needed && !finished(); }
  std::string command() const;  // "train_code --dataset mnist ..."
};

struct Plan {
  std::vector<Job> jobs;  // each after those that it needs, else in the order of the settings
  std::vector<std::size_t> of_setting;  // the job of each setting

  std::size_t to_run() const;
};

// Models are shared: one folder for each data set, model, purpose and seed. A folder that holds a
// code with other epochs is used where it is finished and has at least as many; else the run gets a
// folder with the epochs in its name. UsageError where a folder holds another run.
Plan make_plan(const std::vector<Setting>& settings, const std::filesystem::path& out,
               const ComputeFlags& compute = {});

// "base-cifar-10-resnet18w16-seed1", "start-cifar-10-resnet18w16-seed1",
// "tuned-mnist-rgb32-resnet18w16-from-cifar-10-seed1"
std::string folder_of(const BaseModel& base);
// "code-mnist-mlp-k2-r1-mlp-mse-seed1"; with `epochs` > 0 "...-mse-epochs500-seed1".
std::string folder_of(const CodeSetting& setting, std::int64_t epochs = 0);
// "merge-mnist+fashion-mnist-mlp-pretrained-seed1"
std::string folder_of(const MergeSetting& setting);

// The folder in `out` that has the setting finished with the most epochs; "" where none has.
std::string best_folder_of(const Setting& setting, const std::filesystem::path& out);

}  // namespace understudy::reproduce
