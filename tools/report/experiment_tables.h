// The tables of an experiment.
#pragma once

#include <vector>

#include "tools/report/experiment.h"
#include "tools/report/settings.h"
#include "tools/report/table.h"

namespace understudy::report {

// "recovery_accuracy" → "Recovery-accuracy".
std::string written_metric(const std::string& metric);

// Recovery-accuracy and overall-accuracy, that of whole groups where codes are compared, then
// accuracies with late answers where they were published: a table each. Published figures stand in
// marked columns; what was not run, or not published, is blank.
std::vector<Table> experiment_tables(const Experiment& experiment);
// The published figures that none of these shows, such as differences of accuracies.
Table published_table(const Experiment& experiment);

// Whether learned codes are all there is, so that the paper's layout fits: a row for each data set,
// base model and k, a column for each encoder and loss. Otherwise a table has a row for each code
// and a column for each k and r.
bool in_paper_layout(const Experiment& experiment);
// Whether a published figure is the accuracy of a base model, which has no k.
bool of_base_model(const Published& published);
Table paper_table(const Experiment& experiment, const std::vector<Setting>& settings,
                  const std::string& metric);
// One table, or one for each r where it would be too wide.
std::vector<Table> comparison_tables(const Experiment& experiment,
                                     const std::vector<Setting>& settings,
                                     const std::string& metric);

// Everything about each code on one line: accuracies, cost, time. Of experiments in which codes are
// compared; empty for one in the paper's layout.
Table cost_table(const Experiment& experiment);

// How each outcome was made, so that it can be made again: a line for each, or for all that came of
// one command.
Table origin_table(const Experiment& experiment);

// What the figures of a table are: whether they have an interval.
std::string seeds_note(const std::vector<const Setting*>& shown);
// The same of figures over so many seeds each.
std::string seeds_note(const std::vector<std::size_t>& seeds);

}  // namespace understudy::report
