#include "tools/reproduce/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "kernels/check.h"

namespace understudy::reproduce {
namespace {

std::int64_t shrunk(const SettingCost& setting, double factor) {
  const auto epochs =
      static_cast<std::int64_t>(std::floor(factor * static_cast<double>(setting.epochs) + 1e-9));
  return std::clamp(epochs, std::min(setting.least_epochs, setting.epochs), setting.epochs);
}

// The first `kept` settings with epochs times `factor`, after the models that they need.
double seconds_of(const BudgetRequest& request, std::size_t kept, double factor) {
  constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();
  std::vector<Work> work;
  std::vector<std::size_t> place(request.models.size(), nowhere);
  const std::function<std::vector<std::size_t>(const std::vector<std::size_t>&)> placed =
      [&](const std::vector<std::size_t>& models) {
        std::vector<std::size_t> places;
        for (const std::size_t model : models) {
          if (place[model] == nowhere) {
            const Work& wanted = request.models[model];
            std::vector<std::size_t> after = placed(wanted.after);
            place[model] = work.size();
            work.push_back({wanted.seconds, std::move(after)});
          }
          places.push_back(place[model]);
        }
        return places;
      };
  for (std::size_t i = 0; i < kept; ++i) {
    const SettingCost& setting = request.settings[i];
    const double seconds = setting.seconds(shrunk(setting, factor));
    if (seconds == 0) continue;
    std::vector<std::size_t> after = placed(setting.after);
    work.push_back({seconds, std::move(after)});
  }
  return schedule_seconds(work, request.at_once);
}

}  // namespace

double schedule_seconds(const std::vector<Work>& work, std::size_t at_once) {
  constexpr double never = std::numeric_limits<double>::infinity();
  std::vector<double> end(work.size(), never);
  std::vector<double> cores(std::max<std::size_t>(at_once, 1), 0);  // when each is free
  std::vector<bool> placed(work.size());
  for (std::size_t count = 0; count < work.size(); ++count) {
    // As run_children: whenever a core is free, the first piece whose needs are met then.
    double best_begin = never;
    std::size_t best = 0;
    const auto core = std::min_element(cores.begin(), cores.end());
    for (std::size_t i = 0; i < work.size(); ++i) {
      if (placed[i]) continue;
      double begin = *core;
      for (const std::size_t needed : work[i].after) begin = std::max(begin, end[needed]);
      if (begin < best_begin) best_begin = begin, best = i;
    }
    check(best_begin < never, "a piece of work waits for one that is not before it");
    placed[best] = true;
    end[best] = *core = best_begin + work[best].seconds;
  }
  return work.empty() ? 0 : *std::max_element(end.begin(), end.end());
}

double SettingCost::seconds(std::int64_t for_epochs) const {
  if (held || (epochs > 0 && epochs_held >= for_epochs)) return 0;
  return fixed_seconds + epoch_seconds * static_cast<double>(for_epochs);
}

BudgetChoice fit_budget(const BudgetRequest& request) {
  const auto fits = [&](std::size_t kept, double factor) {
    return seconds_of(request, kept, factor) <= request.seconds;
  };
  std::size_t kept = request.settings.size();
  while (kept > 0 && !fits(kept, 0)) --kept;

  double factor = 0;
  if (fits(kept, 1)) {
    factor = 1;
  } else {
    for (double low = 0, high = 1; high - low > 1e-6;) {
      const double middle = (low + high) / 2;
      (fits(kept, middle) ? low : high) = middle;
      factor = low;
    }
  }
  BudgetChoice choice;
  for (std::size_t i = 0; i < kept; ++i)
    choice.epochs.push_back(shrunk(request.settings[i], factor));
  choice.seconds = seconds_of(request, kept, factor);
  return choice;
}

double least_seconds(const BudgetRequest& request) { return seconds_of(request, 1, 0); }

double parse_budget(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, value);
  double seconds = 0;
  if (error == std::errc() && end - unit == 1)
    seconds = value * (*unit == 's' ? 1 : *unit == 'm' ? 60 : *unit == 'h' ? 3600 : 0);
  if (!(seconds > 0) || !std::isfinite(seconds))
    throw UsageError(fmt::format("--budget '{}': expected a time such as 90s, 30m or 2h", text));
  return seconds;
}

}  // namespace understudy::reproduce
