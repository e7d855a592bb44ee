#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/report/merge_settings.h"

namespace understudy::report {
namespace {

// As programs write a name, as people do; in the order of tables.
struct Written {
  const char* name;
  const char* written;
};

constexpr Written methods[] = {{"average", "plain average"},
                               {"rebasin", "Git Re-Basin"},
                               {"ties", "TIES"},
                               {"regmean", "RegMean"},
                               {"regmean-conv", "RegMean, convolutions too"},
                               {"coin", "COIN"},
                               {"kfac", "K-FAC"},
                               {"refit", "refit of the last layer"},
                               {"sequential", "refit of every layer"},
                               {"distill", "distillation"}};
// "given": from files.
constexpr Written fishers[] = {{"gaussian", "Gaussian"},
                               {"classification", "classification"},
                               {"sampled", "sampled label"},
                               {"empirical", "empirical"},
                               {"given", "given"}};

template <std::size_t N>
int rank_in(const Written (&names)[N], const std::string& name) {
  const auto at =
      std::find_if(names, names + N, [&](const Written& each) { return name == each.name; });
  return static_cast<int>(at - names);
}

template <std::size_t N>
std::string written_in(const Written (&names)[N], const std::string& name) {
  const int rank = rank_in(names, name);
  return rank == static_cast<int>(N) ? name : names[rank].written;
}

std::vector<std::string> steps_of(const std::string& method) {
  std::vector<std::string> steps;
  for (std::size_t begin = 0; begin <= method.size();) {
    const std::size_t end = std::min(method.find('+', begin), method.size());
    steps.push_back(method.substr(begin, end - begin));
    begin = end + 1;
  }
  return steps;
}

}  // namespace

std::string written_method(const std::string& method) {
  std::vector<std::string> steps = steps_of(method);
  for (std::string& step : steps) step = written_in(methods, step);
  return fmt::format("{}", fmt::join(steps, ", then "));
}

std::vector<int> method_rank(const std::string& method) {
  std::vector<int> rank;
  for (const std::string& step : steps_of(method)) rank.push_back(rank_in(methods, step));
  rank.insert(rank.begin(), static_cast<int>(rank.size()));
  return rank;
}

std::string written_fisher(const std::string& kind) { return written_in(fishers, kind); }

int fisher_rank(const std::string& kind) { return kind.empty() ? -1 : rank_in(fishers, kind); }

std::string written_weights(const MergeOutcome& merge) {
  if (merge.searched) return "best on validation images";
  std::vector<std::string> rows;
  for (const std::vector<double>& row : merge.weights)
    rows.push_back(fmt::format("{:.3g}", fmt::join(row, ", ")));
  return fmt::format("{}", fmt::join(rows, "; "));
}

}  // namespace understudy::report
