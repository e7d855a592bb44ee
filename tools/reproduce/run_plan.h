// Carries out a plan: its runs as child processes, with a line for each that ends.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "tools/reproduce/outlook.h"
#include "tools/reproduce/plan.h"
#include "tools/runs/progress.h"

namespace understudy::reproduce {

struct RunOptions {
  std::string name;                // what the progress line calls it
  std::filesystem::path out;       // absolute; gets logs/ and a folder for each run
  std::filesystem::path data_dir;  // absolute; "": the programs' own
  std::filesystem::path programs;  // the folder of the programs
  std::size_t at_once = 1;
  std::function<void()> after_each;  // called when a run has ended well
};

// Runs what is missing. `speeds`: of kinds of run, where they are known. Throws Exit where it was
// interrupted, and Error naming what failed.
void run_plan(const Plan& plan, const RunOptions& options, std::map<std::string, Speed> speeds,
              Progress& progress);

}  // namespace understudy::reproduce
