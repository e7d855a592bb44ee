// Where experiments are found by their name.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace understudy::reproduce {

// The file of a name ("quick"), or the file itself where `name` is one ("my/own.toml"). UsageError
// with the names that there are.
std::filesystem::path find_experiment(const std::string& name);
// All that have a name, sorted: those of the source tree, else the installed ones.
std::vector<std::filesystem::path> named_experiments();

}  // namespace understudy::reproduce
