// Keys of a section whose lists are multiplied with one another.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tools/reproduce/section.h"

namespace understudy::reproduce {

struct Axis {
  std::string key;
  std::vector<std::string> values;
};

// Those of `keys` that the section has, in the order in which it writes them.
std::vector<Axis> axes_of(const Section& section, const std::vector<std::string>& keys);

// Puts an axis first, in the place of the one with its key.
void put_first(std::vector<Axis>& axes, const Axis& axis);

// A value of each axis.
class Combination {
 public:
  Combination(const Section& section, const std::map<std::string, std::string>& chosen)
      : section_(section), chosen_(chosen) {}

  // `otherwise` where there is no such axis. UsageError where the value is not allowed.
  std::string text(const std::string& key, const std::string& otherwise = "") const;
  std::string one_of(const std::string& key, const std::vector<std::string>& known,
                     const std::string& otherwise = "") const;
  std::int64_t whole(const std::string& key, std::int64_t low, std::int64_t otherwise,
                     std::int64_t high = Section::no_limit) const;

 private:
  const Section& section_;
  const std::map<std::string, std::string>& chosen_;
};

// Calls `visit` for every combination; the last axis varies fastest.
void multiply(const Section& section, const std::vector<Axis>& axes,
              const std::function<void(const Combination&)>& visit);

}  // namespace understudy::reproduce
