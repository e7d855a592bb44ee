// How fast the runs of a plan will be on one core, or on a GPU: real steps, a few of each kind.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "kernels/device.h"
#include "tools/reproduce/outlook.h"
#include "tools/reproduce/plan.h"
#include "tools/runs/progress.h"

namespace understudy::reproduce {

// Of every kind among the jobs that are to be run, by Job::kind; loads the data sets, and takes a
// second or a few steps for each kind, and for a merge for each of its methods. Sets the number of
// threads to 1. Stops early, with what it has, when the program is interrupted.
std::map<std::string, Speed> measure_speeds(const Plan& plan, const std::filesystem::path& data_dir,
                                            Device device, Progress& progress);

}  // namespace understudy::reproduce
