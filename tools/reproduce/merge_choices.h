// A merge of an experiment as merge_models understands it.
#pragma once

#include "tools/merge_models/choices.h"
#include "tools/reproduce/setting.h"

namespace understudy::reproduce {

// What the run's command line will say, but for folders: of the models, how many; of the start,
// whether there is one.
MergeChoices merge_choices(const MergeSetting& setting);

}  // namespace understudy::reproduce
