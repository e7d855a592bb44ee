// What a finished run of train_code says: the numbers of result.json and their table.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "coding/evaluation.h"
#include "coding/trainable_code.h"
#include "datasets/dataset.h"
#include "kernels/device.h"
#include "models/model.h"

namespace understudy {

// Whether more answers are recovered than by guessing one of the classes, twice as many at least.
bool above_chance(double recovery_accuracy, std::int64_t classes);

// The numbers among score_values (tools/runs/code_values.h), those in arrays under paths such as
// "calibration/0/count".
std::map<std::string, double> test_numbers(const CodeScore& score);

// `test` with what needs no training: time and arithmetic, machines, the guess without a code;
// "learned" says whether the test recovery-accuracy is above chance.
nlohmann::json code_result(const std::map<std::string, double>& test, TrainableCode& code,
                           Model& base, const TrainTest& data, Device device);

// On stdout; the last line is "test recovery-accuracy 97.10 %".
void print_code_result(const nlohmann::json& result);

}  // namespace understudy
