// The tables of a report: what the runs found, and how each was made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/chart.h"
#include "tools/report/run.h"
#include "tools/report/table.h"

namespace understudy::report {

// What a run is, for headings: "code: MLPEncoder, MSE loss, k = 2, r = 1".
std::string describe(const Run& run);

// ---- codes over queries (train_code) ----

// Accuracies are fractions of 1, times microseconds a group.
struct CodeResult {
  std::string name;  // "MLPEncoder, MSE loss, k = 2, r = 1"
  std::string base;  // the model and the data that it protects
  int k = 0, r = 0;
  double available = 0;  // accuracy of the base model when every machine answers
  std::optional<double> overall, recovery;
  std::optional<double> guessed;  // of guessing the most frequent class instead
  std::optional<double> encode_us, decode_us;
};
// Of the finished train_code runs, in the order given. Error naming the file and the key when
// result.json lacks k, r or test_accuracy, or holds an accuracy outside 0..1.
std::vector<CodeResult> code_results(const std::vector<Run>& runs);
// The one whose reconstructed answers are right most often; null when none says.
const CodeResult* best_code(const std::vector<CodeResult>& results);

// The accuracy that users see when a share `late` of the answers is reconstructed instead of waited
// for: (1−f)·A_available + f·A_degraded (Kosaian et al. 2018). With A_degraded = 0 the answer is lost.
double accuracy_with_late(double available, double degraded, double late);
std::string extra_machines(int k, int r);  // "50 %"

// A section per base model: no spare machine, replication, then each code.
Table code_table(const std::vector<CodeResult>& results);
// Accuracy over the share of late answers, for the codes of the first base model and the baselines.
Chart late_chart(const std::vector<CodeResult>& results);
// Two sentences for someone who has never heard of coded inference; "" without a result.
std::string meaning(const std::vector<CodeResult>& results);

// ---- codes over models (merge_models) ----

// A section per finished run, a row per method. Error naming the file when result.json has no rows.
Table merge_table(const std::vector<Run>& runs);
std::string meaning_of_merges(const std::vector<Run>& runs);

// ---- the rest ----

Table classifier_table(const std::vector<Run>& runs);  // finished train_classifier runs
// A row per run: program, version, commit, compiler, instruction set, threads, seed, data, time.
Table provenance_table(const std::vector<Run>& runs);

// For the above: a fraction at `key`, Error naming the file when it is outside 0..1; the data's
// name.
std::optional<double> fraction(const Run& run, const char* key);
std::string dataset_name(const Run& run);
std::string written_name(const std::string& dataset);  // "mnist" → "MNIST"

}  // namespace understudy::report
