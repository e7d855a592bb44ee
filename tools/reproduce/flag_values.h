// What flags of an experiment say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/reproduce/setting.h"

namespace understudy::reproduce {

// `otherwise` where the flag is not there.
inline std::int64_t whole_flag(const std::vector<Flag>& flags, const std::string& name,
                               std::int64_t otherwise) {
  for (const Flag& flag : flags)
    if (flag.name == name) return std::stoll(flag.value);
  return otherwise;
}

// "true" for a flag without a value; `otherwise` where it is not there.
inline std::string text_flag(const std::vector<Flag>& flags, const std::string& name,
                             const std::string& otherwise = "") {
  for (const Flag& flag : flags)
    if (flag.name == name) return flag.value.empty() ? "true" : flag.value;
  return otherwise;
}

}  // namespace understudy::reproduce
