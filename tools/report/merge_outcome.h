// What a merge found, as `reproduce` records it: one coded model of n, made by one method.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/report/fields.h"

namespace understudy::report {

// After an epoch of distilling. Scores are normalised decoding accuracies in per cent, on the points
// that are distilled from and on the test images.
struct MergeCurvePoint {
  double epoch = 0;
  std::optional<double> seconds;  // of distilling so far
  std::optional<double> train, test;
};

struct MergeOutcome {
  std::string setting;             // reproduce's name of it
  std::vector<std::string> tasks;  // n data sets: "mnist-rgb32"
  std::string base, base_model;    // "resnet18", "resnet18 3-16-32-64-128-10"
  std::string initialisation;      // "pretrained", "same", "independent"
  std::string start;               // the data set of the pre-training; else empty
  std::string reduced;             // what was cut, e.g. "width 16"; empty: nothing
  std::int64_t seed = 0;
  std::string method;                  // "coin", "coin+refit"
  std::optional<std::int64_t> points;  // P of each task; empty: the method looks at none
  std::string fisher, fisher_data;     // "gaussian", "own"; empty where the method has none
  std::optional<double> damping;
  std::vector<std::vector<double>> weights;  // β: a row of n for each coded model; none: not known
  bool searched = false;                     // the weights are the best on validation images
  std::string commit, device, instruction_set, command;
  std::optional<std::int64_t> threads;

  // "normalised_decoding_accuracy" in per cent, other accuracies as fractions of 1, "seconds",
  // "peak_bytes".
  std::map<std::string, double> values;
  std::vector<double> base_accuracies, decoded_accuracies;  // n or none, fractions of 1
  std::vector<MergeCurvePoint> curve;

  std::string place;  // "results.jsonl:3"

  std::optional<double> value(const std::string& key) const;
};

// A line of kind "merge". Error naming file, line and key, with what was expected and what was found.
MergeOutcome read_merge(const Fields& line);

// Counts a line that was read before once; two different results of one setting and seed are an Error
// that names both places.
void add_merge(std::vector<MergeOutcome>& merges, MergeOutcome merge);

}  // namespace understudy::report
