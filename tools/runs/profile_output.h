// --profile: where a run's time went.
#pragma once

#include <filesystem>
#include <optional>

#include "engine/profile.h"
#include "tools/runs/options.h"

namespace understudy {

// Registers --profile FILE; the file's name goes to `target`, which outlives the Options.
void add_profile_option(Options& options, std::filesystem::path& target);

// Measures every op from begin() to finish(); nothing for an empty path.
class ProfileOutput {
 public:
  // UsageError for a place that cannot be written: better before the work than after.
  explicit ProfileOutput(std::filesystem::path trace);
  // Ops are seen where they are launched one by one.
  StepMode step_mode(const CommonOptions& common) const {
    return trace_.empty() ? common.step_mode() : StepMode::eager;
  }
  void begin();
  // Writes the trace, and the table of times by op to stderr, if there was a begin(). At the end
  // of the run, whether it is done or interrupted.
  void finish();

 private:
  std::filesystem::path trace_;
  std::optional<Profiler> profiler_;
};

}  // namespace understudy
