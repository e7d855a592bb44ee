// The merges of an experiment on the page and on the terminal.
#pragma once

#include <string>

#include "tools/report/experiment.h"

namespace understudy::report {

// What stands in the experiment's section: for each place findings, tables and charts. "" without
// merges.
std::string merge_part(const Experiment& experiment);
std::string merge_summary(const Experiment& experiment);

}  // namespace understudy::report
