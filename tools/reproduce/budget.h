// How long a plan takes on so many cores, and what of it fits into a budget of time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace understudy::reproduce {

// A run that takes `seconds` of one core, after others.
struct Work {
  double seconds = 0;
  std::vector<std::size_t> after;  // earlier in the list
};

// Seconds until all is done when `at_once` cores take the work in the order of the list, each piece
// as soon as what it needs is done.
double schedule_seconds(const std::vector<Work>& work, std::size_t at_once);

// What the budget has to know of a setting.
struct SettingCost {
  std::vector<std::size_t> after;  // which models it needs
  std::int64_t epochs = 0;         // wanted; 0 for a comparison and a merge
  std::int64_t least_epochs = 0;
  std::int64_t epochs_held = 0;  // finished with as many already; that costs nothing
  bool held = false;             // finished with what is wanted
  double fixed_seconds = 0;      // before the first epoch and after the last
  double epoch_seconds = 0;

  double seconds(std::int64_t for_epochs) const;
};

struct BudgetRequest {
  std::vector<Work> models;           // that settings need; those that are there take no time
  std::vector<SettingCost> settings;  // the most important first
  std::size_t at_once = 1;
  double seconds = 0;  // of the wall clock
};

struct BudgetChoice {
  std::vector<std::int64_t> epochs;  // of the settings that are kept, the first ones of the request
  double seconds = 0;                // that they will take
};

// The epochs of all settings shrink by one factor, none below its least; where that is not enough,
// settings are dropped from the end, as few as will do. Nothing is kept where not even the first
// setting fits.
BudgetChoice fit_budget(const BudgetRequest& request);

// What the first setting takes with its least epochs, and the models that it needs.
double least_seconds(const BudgetRequest& request);

// "90s", "30m", "2h", "1.5h" in seconds. UsageError for anything else.
double parse_budget(const std::string& text);

}  // namespace understudy::reproduce
