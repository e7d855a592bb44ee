// The lines of results.jsonl that a finished run gives.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/reproduce/experiment.h"
#include "tools/reproduce/folder.h"

namespace understudy::reproduce {

// A folder that holds a setting, finished.
struct FinishedRun {
  std::filesystem::path out;
  std::string folder;  // its name in `out`
  FolderState state;
  nlohmann::json result;

  std::filesystem::path path() const { return out / folder; }
};

// See results.h; Error where a file is damaged.
std::vector<nlohmann::json> lines_of(const CodeSetting& setting, const FinishedRun& run);
std::vector<nlohmann::json> lines_of(const MergeSetting& setting, const FinishedRun& run);

// With six digits: what is beyond them differs from machine to machine, and these lines are kept.
nlohmann::json rounded(const nlohmann::json& value);
// How and where it was run: "commit", "device", "instruction_set", "threads"; of a GPU also
// "accelerator" and "precision".
void add_origin(nlohmann::json& line, const FolderState& state);
// The command as it would be typed in --out.
std::string command_of(const Setting& setting, const FinishedRun& run);
// "width 16" of a model that is narrower than its published form; "" otherwise.
std::string reduction_of(const BaseModel& base);

}  // namespace understudy::reproduce
