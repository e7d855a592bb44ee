// How well coded models stand in for the models they were made of.
#pragma once

#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "engine/nn/module.h"

namespace understudy {

struct TaskScore {
  std::string task;              // the data set's name
  double base_accuracy = 0;      // of model j on task j's test images
  double decoded_accuracy = 0;   // of the reconstruction f̂_j on the same
  double recovery_accuracy = 0;  // share of them with argmax f̂_j = argmax f_j
  double normalized() const { return 100 * decoded_accuracy / base_accuracy; }
};

// Means over all sets of as many late models and over the models in each set.
struct LateScore {
  int late = 1;
  double normalized_decoding_accuracy = 0;  // per cent
  double recovery_accuracy = 0;
  double worst_amplification = 0, worst_condition = 0;  // over the sets (ModelDecoding)
};

struct DecodingScore {
  std::vector<TaskScore> tasks;                        // each late alone
  double normalized_decoding_accuracy = 0;             // per cent, the mean of normalized()
  double decoded_accuracy = 0, recovery_accuracy = 0;  // means over the tasks
  // RMS over all tests of the error of the coded answers, over the RMS of Σ β_i f_i.
  double relative_output_error = 0;
  // RMS of f̂_j − f_j over that of f_j on task j's images, of the task where it is largest.
  double worst_decoded_error = 0;
  std::vector<LateScore> by_late;  // 1 ... m late models
};

// To print with every table.
inline constexpr const char* normalized_decoding_definition =
    "normalised decoding accuracy = 100 · accuracy(reconstructed answer of model j) / "
    "accuracy(model j) on task j's test images, averaged over the models j, each late in turn";

// Task j is that of models[j], judged on tests[j]. The models' answers are computed once; score()
// may be called for any coded models and weights.
class DecodingBench {
 public:
  DecodingBench(const std::vector<Module*>& models, const std::vector<const Dataset*>& tests);
  // m = coded.size() coded models of the weights (m, n); any m late ones can be decoded.
  DecodingScore score(const std::vector<Module*>& coded,
                      const std::vector<std::vector<double>>& weights) const;
  double base_accuracy(std::size_t task) const { return base_accuracies_[task]; }

 private:
  // answers[a]: of coded model a to the images of task j.
  void add_late_sets(const std::vector<std::vector<Tensor>>& answers,
                     const std::vector<std::vector<double>>& weights, DecodingScore& score) const;

  std::vector<const Dataset*> tests_;
  std::vector<std::vector<Tensor>> outputs_;        // [task][model]: (N, C)
  std::vector<std::vector<std::int64_t>> answers_;  // [task]: the classes that its own model says
  std::vector<double> base_accuracies_;
};

// Wall-clock microseconds of decode_model for one query, medians over `repeats` calls after one to
// warm up. There is nothing to encode at query time: the merge happened once, before.
struct DecodingTiming {
  double decode_us = 0;           // a query alone
  double decode_us_in_batch = 0;  // per query of a batch
  std::int64_t batch = 0;
};
// On random answers; each model that the weights have is late in turn, so that it is a mean.
DecodingTiming measure_decoding(const std::vector<double>& weights, std::int64_t classes,
                                std::int64_t batch = 64, int repeats = 51, Device device = {});

}  // namespace understudy
