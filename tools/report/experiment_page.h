// An experiment on the page and on the terminal.
#pragma once

#include <string>

#include "tools/report/experiment.h"

namespace understudy::report {

// A <section> with what was asked, what was cut, tables, charts and how each run was made.
std::string experiment_section(const Experiment& experiment);
// Its title and tables as plain text.
std::string experiment_summary(const Experiment& experiment);

}  // namespace understudy::report
