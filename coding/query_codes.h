// Codes over queries by name: those that can be made at once, without training.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "coding/query_code.h"

namespace understudy {

// What a code is made for.
struct CodeRequest {
  CodeShape shape;                  // UsageError from `make` for one that the code cannot have
  Shape image;                      // (H, W, C)
  std::int64_t classes = 10;        // logits of an answer
  std::int64_t majority_class = 0;  // the most frequent in the training data
};

struct QueryCodeKind {
  const char* name;     // as a user types it: "systematic-berrut"
  const char* summary;  // one line, for --help and tables
  std::unique_ptr<QueryCode> (*make)(const CodeRequest& request);
};

// Every kind, in the order of tables. A new code is a line in query_codes.cpp.
std::span<const QueryCodeKind> query_code_kinds();
std::vector<std::string> query_code_names();
// UsageError for a name that is not there, listing those that are.
std::unique_ptr<QueryCode> make_query_code(const std::string& name, const CodeRequest& request);

}  // namespace understudy
