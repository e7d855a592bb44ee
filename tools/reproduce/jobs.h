// The commands of single runs.
#pragma once

#include <string>
#include <vector>

#include "tools/reproduce/plan.h"

namespace understudy::reproduce {

// Without a folder where that depends on what is there, and without what it has to come after.
Job job_of(const BaseModel& base, const ComputeFlags& compute);
Job job_of(const CodeSetting& setting, const ComputeFlags& compute);
Job job_of(const MergeSetting& setting, const ComputeFlags& compute);

// The models whose folders the run reads, each after the one that it begins from.
std::vector<BaseModel> models_of(const CodeSetting& setting);
std::vector<BaseModel> models_of(const MergeSetting& setting);

// The folder that a model begins from; "" where it begins at random.
std::string folder_of_start(const BaseModel& base);

}  // namespace understudy::reproduce
