#include "coding/query_codes.h"

#include <fmt/ranges.h>

#include "coding/baselines.h"
#include "kernels/check.h"

namespace understudy {
namespace {

constexpr QueryCodeKind kinds[] = {
    {"none", "no parity: a missing answer is guessed to be the most frequent class",
     [](const CodeRequest& request) -> std::unique_ptr<QueryCode> {
       return std::make_unique<NoCode>(request.shape.k, request.majority_class);
     }},
    {"replication", "every query to r more machines",
     [](const CodeRequest& request) -> std::unique_ptr<QueryCode> {
       return std::make_unique<Replication>(request.shape.k, request.shape.r);
     }},
};

}  // namespace

std::span<const QueryCodeKind> query_code_kinds() { return kinds; }

std::vector<std::string> query_code_names() {
  std::vector<std::string> names;
  for (const QueryCodeKind& kind : kinds) names.push_back(kind.name);
  return names;
}

std::unique_ptr<QueryCode> make_query_code(const std::string& name, const CodeRequest& request) {
  for (const QueryCodeKind& kind : kinds)
    if (name == kind.name) return kind.make(request);
  throw UsageError(
      fmt::format("unknown code \"{}\"; there are: {}", name, fmt::join(query_code_names(), ", ")));
}

}  // namespace understudy
