// The rows of a merge_models run: each a recipe under one choice of what it may look at.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coding/merging/evaluation.h"
#include "coding/merging/merge.h"
#include "models/model.h"
#include "tools/merge_models/choices.h"
#include "tools/merge_models/tasks.h"
#include "tools/runs/options.h"
#include "tools/runs/progress.h"

namespace understudy {

// The Fisher information that several rows share, computed once, with what it cost: each of them
// counts that as its own.
struct MeasuredFishers {
  std::vector<std::vector<NamedTensor>> fishers;
  double seconds = 0;
  std::int64_t bytes = 0, peak_bytes = 0;  // of themselves; while they were computed
};

class MergeRun {
 public:
  MergeRun(const MergeChoices& choices, const CommonOptions& common,
           const std::vector<std::string>& files, Progress& progress)
      : choices_(choices),
        common_(common),
        progress_(progress),
        files_(files),
        cases_(merge_cases(choices)),
        weights_(parse_weights(choices.weights, files.size())) {}

  const std::vector<MergeCase>& cases() const { return cases_; }
  const std::vector<std::vector<double>>& weights() const { return weights_; }
  Model& model() const { return *models_[0]; }

  void load_the_models();
  void load_the_tasks(const std::vector<std::string>& names);  // none: a merge without data
  nlohmann::json describe_data() const;
  void explain(nlohmann::json& result);
  // How many rows an earlier call of the program has done.
  void continue_after(std::int64_t rows) { rows_done_ = rows; }
  // Merges, scores and returns the row; the coded networks are left in `coded()`.
  nlohmann::json run(const MergeCase& one);
  const std::vector<std::unique_ptr<Model>>& coded() const { return coded_; }
  // What all rows have in common.
  void summarize(nlohmann::json& result) const;

 private:
  MergeProblem problem_for(const MergeCase& one, const std::vector<double>& weights);
  const MeasuredFishers& fishers_for(const MergeCase& one, const MergeProblem& problem);
  // `aside` grows by the seconds of following: they are none of the merge's.
  void follow_distillation(const MergeCase& one, MergeProblem& problem, nlohmann::json& curve,
                           double& aside);
  void add_scores(const std::vector<std::vector<double>>& weights, nlohmann::json& row);

  const MergeChoices& choices_;
  const CommonOptions& common_;
  Progress& progress_;
  std::vector<std::string> files_;
  std::vector<MergeCase> cases_;
  std::vector<std::vector<double>> weights_;
  std::vector<std::unique_ptr<Model>> models_;
  std::unique_ptr<Model> start_;
  std::vector<std::unique_ptr<Model>> coded_;
  std::vector<std::vector<NamedTensor>> given_fishers_;
  std::vector<Task> tasks_;
  std::unique_ptr<DecodingBench> bench_;
  std::map<std::string, MeasuredFishers> fishers_;
  std::int64_t rows_done_ = 0;
};

}  // namespace understudy
