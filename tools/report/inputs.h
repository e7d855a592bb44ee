// What the report is made of, as it is named on the command line.
#pragma once

#include <filesystem>
#include <vector>

#include "tools/report/experiment.h"
#include "tools/report/run.h"

namespace understudy::report {

struct Inputs {
  std::vector<Run> runs;
  std::vector<Experiment> experiments;
};

// Each path is a run folder, a results file, or a folder with a results.jsonl. Error when it is none
// of them, or broken.
Inputs read_inputs(const std::vector<std::filesystem::path>& paths);

}  // namespace understudy::report
