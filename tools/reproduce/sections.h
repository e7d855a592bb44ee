// The sections of an experiment that describe settings.
#pragma once

#include <toml++/toml.h>
#include <vector>

#include "tools/reproduce/setting.h"
#include "tools/reproduce/source.h"

namespace understudy::reproduce {

// [[grid]]: codes over queries that are trained. [[comparison]]: those that are not. [[merge]]:
// codes over models. UsageError with file, line and key.
std::vector<Setting> grid_settings(const Reading& reading, const toml::table& table);
std::vector<Setting> comparison_settings(const Reading& reading, const toml::table& table);
std::vector<Setting> merge_settings(const Reading& reading, const toml::table& table);

}  // namespace understudy::reproduce
