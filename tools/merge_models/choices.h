// What a user of merge_models asks for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coding/merging/merge.h"
#include "tools/runs/options.h"

namespace understudy {

// The flags of the program beside the common ones. Lists are written with commas.
struct MergeChoices {
  std::string models, datasets, start, architecture;
  std::string method = "all";
  std::string weights;
  std::vector<std::int64_t> points = {1000};
  std::string fisher = "gaussian", fisher_data = "own", damping = "0";
  std::string fishers;  // files instead of --fisher
  double kfac_damping = MergeProblem().kfac_damping;
  double off_diagonal = MergeProblem().off_diagonal;
  double ridge = MergeProblem().ridge;
  double ties_density = MergeProblem().ties_density, ties_scale = MergeProblem().ties_scale;
  std::int64_t distill_epochs = DistillationOptions().epochs;
  double distill_lr = DistillationOptions().lr;
  std::int64_t distill_batch = DistillationOptions().batch_size;
  double distill_seconds = 0;
  std::int64_t curve = 0;
  std::int64_t validation = 500;
  bool explain = false;
};
void add_choices(Options& options, MergeChoices& choices);

// One line of the result: a recipe under one choice of what it looks at. What a recipe does not
// look at is empty, so that it has one line for all.
struct MergeCase {
  std::string recipe;
  std::int64_t points = 0;  // of each task; 0: none
  std::string fisher;       // "gaussian"; "" for none, "given" for Fishers from files
  std::string fisher_data;  // "own"; "" for none
  double damping = -1;      // -1 for none

  // "coin", "coin P=100 classification union damping=0.01": what the choices leave open.
  std::string label(const MergeChoices& choices) const;
};
// Every recipe with every choice, in the order of the points, then of the recipes. UsageError for
// what is impossible, before any work.
std::vector<MergeCase> merge_cases(const MergeChoices& choices);

// Whether the weights are to be searched for ("best").
bool searches_weights(const MergeChoices& choices);
// --weights as rows of the matrix, one for each coded model, each scaled to sum 1; equal weights for
// "" and "best". UsageError for what are no weights of n models.
std::vector<std::vector<double>> parse_weights(const std::string& text, std::size_t n);

}  // namespace understudy
