// What of an experiment is run: all of it, or what a budget of time lets.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/reproduce/experiment.h"
#include "tools/reproduce/outlook.h"

namespace understudy::reproduce {

struct Selection {
  std::vector<Setting> settings;  // the experiment's first ones, some with fewer epochs
  // In words: "epochs 500 → 14", "setting cifar-10 resnet18 ...".
  std::vector<std::string> cut;
  double seconds = 0;  // that it will take
};

// What fits into `seconds` with `at_once` runs at work, in folder `out`, whose finished runs cost
// nothing. `speeds`: of every kind of run that is not finished. UsageError where nothing fits,
// saying how much the first setting takes.
Selection select_settings(const Experiment& experiment, const std::filesystem::path& out,
                          const ComputeFlags& compute, const std::map<std::string, Speed>& speeds,
                          std::size_t at_once, double seconds);

// A selection is kept, so that the same command goes on with it and does not choose anew, by speeds
// that are a little different every time. `key`: whatever it depends on. Nothing where the file
// does not hold one for that key.
void store_selection(const std::filesystem::path& file, const std::string& key,
                     const Selection& selection);
std::optional<Selection> stored_selection(const std::filesystem::path& file, const std::string& key,
                                          const Experiment& experiment);

}  // namespace understudy::reproduce
