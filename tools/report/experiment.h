// Experiments as `reproduce` records them: what was published, and what was run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/report/merge_outcome.h"

namespace understudy::report {

// A figure that a paper states.
struct Published {
  std::string dataset, base;  // "mnist", "resnet18"; no data set: over all
  int k = 0, r = 0;           // 0 where the figure is of none in particular: of a base model
  std::string code;           // "best learned"
  std::string encoder, loss;  // where the figure is of one of them; else empty
  std::string metric;         // "recovery_accuracy"
  double value = 0;           // a fraction of 1
  std::string note;
};

// Reconstructed answers of about one confidence, the largest probability of their softmax.
struct CalibrationBin {
  double confidence = 0;  // mean
  double accuracy = 0;    // share that is right
  double count = 0;
};

// The accuracy of the answers that are kept when the least confident `share` is declined.
struct Kept {
  double share = 0, accuracy = 0;
};

struct CurvePoint {
  double epoch = 0;
  std::optional<double> recovery;  // validation recovery-accuracy
};

// A code, trained or not, evaluated once.
struct Outcome {
  std::string setting;                  // reproduce's name of it
  std::string dataset, base;            // "mnist", "resnet18"
  std::string base_model;               // "resnet18 1-64-128-256-10"
  std::string reduced;                  // what was cut, e.g. "width 16"; empty: nothing
  std::string code;                     // "learned", "berrut"
  std::string encoder, loss, channels;  // of learned codes; else empty
  int k = 0, r = 0;
  std::int64_t seed = 0;
  std::optional<std::int64_t> epochs, epochs_published;
  std::string commit, device, instruction_set, command;
  std::optional<std::int64_t> threads;
  std::optional<double> seconds;

  // Accuracies as fractions of 1, times in µs a group, under the names of result.json without
  // "test_": "recovery_accuracy".
  std::map<std::string, double> values;
  std::optional<bool> learned;  // false: training failed, answers are guesses
  std::vector<CalibrationBin> calibration;
  std::vector<Kept> declining;
  std::vector<CurvePoint> curve;

  std::string place;  // "results.jsonl:3"

  std::optional<double> value(const std::string& key) const;
};

struct Experiment {
  std::string name;    // "learning-a-code"
  std::string title;   // for headings
  std::string source;  // whose experiment it is; may be empty
  std::vector<std::string> machines, commands;
  std::vector<std::string> notes;        // what is known of it beside numbers, a paragraph each
  std::vector<std::string> cut;          // what a budget left out, a sentence each
  std::optional<std::int64_t> settings;  // planned
  std::vector<Published> published;
  std::vector<Outcome> outcomes;     // codes over queries
  std::vector<MergeOutcome> merges;  // codes over models
};

}  // namespace understudy::report
