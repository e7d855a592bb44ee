#include "coding/query_codes.h"

#include <fmt/ranges.h>

#include "coding/baselines.h"
#include "coding/matrix/berrut_code.h"
#include "coding/matrix/exact_code.h"
#include "coding/matrix/spline_code.h"
#include "kernels/check.h"

namespace understudy {
namespace {

template <PointLayout layout>
std::unique_ptr<QueryCode> make_berrut(const CodeRequest& request) {
  return std::make_unique<BerrutCode>(layout, request.shape);
}

template <PointLayout layout>
std::unique_ptr<QueryCode> make_exact_berrut(const CodeRequest& request) {
  return exact_berrut_code(layout, request.shape);
}

template <PointLayout layout>
std::unique_ptr<QueryCode> make_spline(const CodeRequest& request) {
  return std::make_unique<SplineCode>(layout, request.shape);
}

constexpr QueryCodeKind kinds[] = {
    {"none", "no parity: a missing answer is guessed to be the most frequent class",
     [](const CodeRequest& request) -> std::unique_ptr<QueryCode> {
       return std::make_unique<NoCode>(request.shape.k, request.majority_class);
     }},
    {"replication", "every query to r more machines",
     [](const CodeRequest& request) -> std::unique_ptr<QueryCode> {
       return std::make_unique<Replication>(request.shape.k, request.shape.r);
     }},
    {"mean", "weighted means of the data, solved for what is missing",
     [](const CodeRequest& request) -> std::unique_ptr<QueryCode> {
       return mean_code(request.shape);
     }},
    {"berrut", "Berrut rational interpolation (ApproxIFER): every query is a mixture",
     make_berrut<PointLayout::spread>},
    {"berrut-released", "the same at the points of ApproxIFER's published code",
     make_berrut<PointLayout::released>},
    {"systematic-berrut", "the same with the data themselves as the first k queries",
     make_berrut<PointLayout::systematic>},
    {"berrut-exact", "berrut's queries, decoded exactly for a linear model",
     make_exact_berrut<PointLayout::spread>},
    {"systematic-berrut-exact", "systematic-berrut's queries, decoded exactly for a linear model",
     make_exact_berrut<PointLayout::systematic>},
    {"spline", "smoothing splines through data and answers (NeRCC): every query is a mixture",
     make_spline<PointLayout::spread>},
    {"systematic-spline", "the same with the data themselves as the first k queries",
     make_spline<PointLayout::systematic>},
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
