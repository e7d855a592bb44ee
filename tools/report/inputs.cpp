#include "tools/report/inputs.h"

#include "kernels/check.h"
#include "tools/report/results_file.h"

namespace understudy::report {

namespace fs = std::filesystem;

Inputs read_inputs(const std::vector<fs::path>& paths) {
  Inputs inputs;
  for (const fs::path& path : paths) {
    check(fs::exists(path), "{}: expected a run folder or a results.jsonl, found nothing",
          path.string());
    const bool has_results = fs::exists(path / "results.jsonl");
    if (!fs::is_directory(path))
      read_results(path, inputs.experiments);
    else if (has_results)
      read_results(path / "results.jsonl", inputs.experiments);
    if (fs::is_directory(path) && (!has_results || fs::exists(path / "header.json")))
      inputs.runs.push_back(read_run(path));
  }
  return inputs;
}

}  // namespace understudy::report
