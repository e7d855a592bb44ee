// What merge_models prints at its end.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coding/merging/difference.h"

namespace understudy {

// The rows of result.json as a table with what each method needs, what it cost and what it gives;
// the last line names the methods and their normalised decoding accuracies, or the best one where
// there are many.
void print_result(const nlohmann::json& result);

// --explain: a line for each tensor.
void print_difference(const std::vector<TensorDifference>& tensors,
                      const std::vector<std::string>& models);
nlohmann::json to_json(const std::vector<TensorDifference>& tensors);

}  // namespace understudy
