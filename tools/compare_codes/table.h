// What compare_codes prints.
#pragma once

#include <nlohmann/json.hpp>

namespace understudy {

// A line per row of result.json, then the best code for each number of extra machines.
void print_comparison(const nlohmann::json& result);

}  // namespace understudy
