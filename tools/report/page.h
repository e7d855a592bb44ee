// The report: run folders and experiments in, one HTML page and one plain-text summary out.
#pragma once

#include <string>
#include <vector>

#include "tools/report/experiment.h"
#include "tools/report/run.h"

namespace understudy::report {

// A complete HTML document that opens from disk: no scripts, and nothing is fetched from anywhere.
std::string page(const std::vector<Run>& runs, const std::vector<Experiment>& experiments = {});

// The tables as plain text, and two sentences that say what the numbers mean.
std::string summary(const std::vector<Run>& runs, const std::vector<Experiment>& experiments = {});

}  // namespace understudy::report
