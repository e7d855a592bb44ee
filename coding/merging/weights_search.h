// Which weights β to merge with: an error of the coded answer is passed on 1/β_j times as large to
// model j, and models differ in how much of it they bear.
#pragma once

#include <string>
#include <vector>

#include "coding/merging/merge.h"
#include "datasets/dataset.h"

namespace understudy {

struct WeightsTry {
  std::vector<double> weights;
  double worst_decoded_error = 0;  // DecodingScore's, on the validation images
};
struct WeightsSearch {
  WeightsTry best;
  std::vector<WeightsTry> tries;  // in the order in which they were made, 1/n first
};

// The β, all above 0, with the smallest worst decoded error on `validation` (images of every task,
// none of the problem's points), found from 1/n by steps of one log β_i at a time, each half as
// long once none helps. The Fishers are computed once. Every try is a merge into `merged` and a
// pass over the validation images; it is left with the last one.
WeightsSearch search_weights(const MergeProblem& problem, const std::string& recipe, Module& merged,
                             const std::vector<const Dataset*>& validation, int most_tries = 40);

}  // namespace understudy
