// Reads what `reproduce` writes: results.jsonl, and the rows of compare_codes.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "tools/report/experiment.h"
#include "tools/report/fields.h"
#include "tools/report/run.h"

namespace understudy::report {

// Adds the experiments of a results file to `experiments`, and what it has on one that is there
// already to that one. Error in one line, naming file, line and key, with what was expected and what
// was found. A line that was read before is counted once; two different results of one setting and
// seed are an Error that names both places. A last line that a killed program left half-written is
// dropped.
void read_results(const std::filesystem::path& file, std::vector<Experiment>& experiments);
// The same of a file's content, which `file` names in errors.
void read_results(std::string_view content, const std::string& file,
                  std::vector<Experiment>& experiments);

// The codes of a finished compare_codes run as an experiment of their own; empty for other runs.
// Error naming the file, the row and the key.
std::optional<Experiment> compared_codes(const Run& run);

// The report's name of a metric: "recovery_accuracy" of "test_recovery_accuracy".
std::string metric_name(const std::string& key);

// What was found out about a code: the members of a result's "values", or of a row of compare_codes.
void read_values(const Fields& fields, Outcome& outcome);

}  // namespace understudy::report
