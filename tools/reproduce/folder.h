// What a run folder says to somebody who did not write it, also while the run is at work in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace understudy::reproduce {

struct FolderState {
  bool begun = false;            // it has a header
  bool finished = false;         // it has a result
  nlohmann::json header;         // {} before it began
  std::int64_t epochs = 0;       // that the run is to have
  std::int64_t epochs_done = 0;  // by its metrics
  double seconds = 0;            // that these took
};

// A folder that is not there has not begun. Error with file and key where one is damaged, here and
// below: what readers of the header use is of the kind that it should be.
FolderState look_into(const std::filesystem::path& folder);

nlohmann::json result_in(const std::filesystem::path& folder);
// The lines of metrics.jsonl; a line that is being written is left out.
std::vector<nlohmann::json> metrics_in(const std::filesystem::path& folder);

}  // namespace understudy::reproduce
