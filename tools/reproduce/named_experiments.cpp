#include "tools/reproduce/named_experiments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/check.h"

namespace understudy::reproduce {

namespace fs = std::filesystem;

std::vector<fs::path> named_experiments() {
  std::vector<fs::path> files;
  for (const char* folder : {UNDERSTUDY_SOURCE_EXPERIMENTS, UNDERSTUDY_INSTALLED_EXPERIMENTS}) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
      if (entry.path().extension() == ".toml") files.push_back(entry.path());
    if (!files.empty()) break;
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path find_experiment(const std::string& name) {
  if (name.ends_with(".toml")) {
    if (!fs::exists(name)) throw UsageError(fmt::format("{}: there is no such file", name));
    return name;
  }
  std::vector<std::string> names;
  for (const fs::path& file : named_experiments()) {
    if (file.stem() == name) return file;
    names.push_back(file.stem().string());
  }
  throw UsageError(fmt::format("there is no experiment \"{}\"; there are: {}; or name a .toml file",
                               name, fmt::join(names, ", ")));
}

}  // namespace understudy::reproduce
