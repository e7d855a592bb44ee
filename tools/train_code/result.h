// What a finished run of train_code says: the numbers of result.json and their table.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "coding/evaluation.h"
#include "coding/learned/learned_code.h"
#include "datasets/dataset.h"
#include "kernels/device.h"
#include "models/model.h"

namespace understudy {

// The test numbers of an epoch: accuracies in 0..1, and for r > 1 also by the number of answers that
// were missing.
std::map<std::string, double> test_numbers(const CodeScore& score, int r);

// `test` with what needs no training: time and arithmetic, machines, the guess without a code;
// "learned" is false where fewer than twice as many answers are recovered as by chance.
nlohmann::json code_result(const std::map<std::string, double>& test, LearnedCode& code,
                           Model& base, const TrainTest& data, Device device);

// On stdout; the last line is "test recovery-accuracy 97.10 %".
void print_code_result(const nlohmann::json& result);

}  // namespace understudy
