// The charts of an experiment. Each has one data set and one base model. A code has the same colour
// in all that show every code.
#pragma once

#include <vector>

#include "tools/report/chart.h"
#include "tools/report/experiment.h"
#include "tools/report/settings.h"

namespace understudy::report {

// Which of the six colours, and a second form where these do not suffice.
struct Look {
  int colour = 0;
  bool second = false;
};
// By the code's place among the codes of the experiment.
Look look_of(const Experiment& experiment, const Outcome& outcome);

// All of an experiment, those with nothing to show left out: accuracy over k, over redundancy,
// against cost, over epochs, and calibration.
std::vector<Chart> experiment_charts(const Experiment& experiment);

// A line for each code over k, at r = 1, with published figures as diamonds; no series when there is
// one k alone.
Chart chart_over_k(const Experiment& experiment, const Place& place, const std::string& metric);
// Accuracy of reconstructed answers over extra machines in per cent, a line for each code and r; of
// the three best codes alone where there are several r.
Chart chart_over_redundancy(const Experiment& experiment, const Place& place);
// Recovery-accuracy against the encoder's multiply-adds over the base model's, at the smallest r.
Chart chart_of_cost(const Experiment& experiment, const Place& place);
// Validation recovery-accuracy over epochs, a chart for each k and r; the mean over seeds, as far as
// all of them went.
std::vector<Chart> learning_curves(const Experiment& experiment, const Place& place);

// Of a few codes of a place, the best ones that have calibration: share right over confidence, and
// accuracy of the answers kept over the share declined.
Chart reliability_chart(const Place& place);
Chart declining_chart(const Place& place);

}  // namespace understudy::report
