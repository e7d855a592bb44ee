// Whether a folder holds the run that a plan wants there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tools/reproduce/plan.h"

namespace understudy::reproduce {

// A finished folder is not run again, so nobody else would see that it holds another run.
// UsageError naming the folder, and the setting that differs. Settings that its header does not
// know are newer than the run, and had their default then.
void check_held(const std::filesystem::path& out, const Job& job);

// The number that the whole text is.
std::optional<double> number_in(const std::string& text);

}  // namespace understudy::reproduce
