// The numbers of a code over queries, as result files and tables have them.
#pragma once

#include <nlohmann/json.hpp>

#include "coding/evaluation.h"
#include "coding/query_code.h"
#include "datasets/dataset.h"
#include "engine/nn/module.h"
#include "kernels/device.h"

namespace understudy {

// The most that the programs take as k and r.
inline constexpr std::int64_t most_queries = 32, most_parities = 8;

// What an evaluation on test images found. Accuracies in 0..1:
//   model_accuracy                the base model's own
//   test_accuracy                 when every worker answers
//   test_recovery_accuracy        a reconstruction names the class that the model would have named
//   test_overall_accuracy         a reconstruction names the label
//   test_group_accuracy           all answers of a group when one of its k + r workers is missing
//   …_L_missing                   the same where exactly L of the workers did not answer, for r > 1
//   test_accuracy_F_percent_unavailable   (1 − f) · all answer + f · reconstructed, f = 1, 5, 10 %
//   test_squared_error            Σ_c (decoded − F(x))²
//   patterns, unrecovered         patterns simulated; answers that could not be recovered
//   calibration                   ten bins {confidence, accuracy, count}; expected_calibration_error
//   declining                     {share, accuracy}: of what is kept when the least confident
//                                 share is declined
nlohmann::json score_values(const CodeScore& score);

// What needs no test images: encode_us, decode_us and the same …_in_batch of timing_batch groups;
// encode_multiply_adds, decode_multiply_adds, base_multiply_adds (absent where it cannot be
// counted); extra_machines_percent, replication_extra_machines_percent.
nlohmann::json cost_values(QueryCode& code, Module& base, const Shape& image, std::int64_t classes,
                           Device device);

// Accuracy of guessing the most frequent training class: what there is without a code.
double guess_accuracy(const TrainTest& data);

}  // namespace understudy
