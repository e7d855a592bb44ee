// How well a coded model stands in for the models it was made of.
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
struct DecodingScore {
  std::vector<TaskScore> tasks;
  double normalized_decoding_accuracy = 0;             // per cent, the mean of normalized()
  double decoded_accuracy = 0, recovery_accuracy = 0;  // means over the tasks
  // RMS over all tests of the error of the coded answer, over the RMS of Σ β_i f_i.
  double relative_output_error = 0;
};

// To print with every table.
inline constexpr const char* normalized_decoding_definition =
    "normalised decoding accuracy = 100 · accuracy(reconstructed answer of model j) / "
    "accuracy(model j) on task j's test images, averaged over the models j, each late in turn";

// Task j is that of models[j], judged on tests[j]. The models' answers are computed once; score()
// may be called for any number of coded models.
class DecodingBench {
 public:
  DecodingBench(const std::vector<Module*>& models, const std::vector<const Dataset*>& tests,
                std::vector<double> weights);
  DecodingScore score(Module& coded) const;
  double base_accuracy(std::size_t task) const { return base_accuracies_[task]; }

 private:
  std::vector<const Dataset*> tests_;
  std::vector<double> weights_;
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
// On random answers; each model is late in turn, so that it is a mean over the models.
DecodingTiming measure_decoding(const std::vector<double>& weights, std::int64_t classes,
                                std::int64_t batch = 64, int repeats = 51, Device device = {});

}  // namespace understudy
