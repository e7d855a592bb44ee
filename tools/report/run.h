// A run folder as its program wrote it (tools/README.md has the formats).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "tools/report/json_file.h"

namespace understudy::report {

// Pictures of what an encoder does: a few groups of a test set and their parity inputs.
struct Samples {
  Tensor inputs;    // u8 (G, k, H, W, C)
  Tensor parities;  // float (G, r, H, W, C)
  Tensor labels;    // i64 (G, k); undefined when the file has none
};

struct Run {
  std::filesystem::path folder;
  std::string name;       // the folder's own name
  nlohmann::json header;  // header.json
  nlohmann::json result;  // result.json; an empty object while the run is not finished
  bool finished = false;
  std::vector<nlohmann::json> epochs;  // the lines of metrics.jsonl, each an object
  std::optional<Samples> samples;      // samples.safetensors

  std::string program() const;
};

// Error, in one line, when `folder` is not a run folder or a file in it is broken: which file, what
// was expected, what was found. A last line of metrics.jsonl that a killed program left
// half-written is dropped.
Run read_run(const std::filesystem::path& folder);

// The number, or the text, at `key`, where it is there and of that kind. Looked up in the result,
// then among the settings in the header.
std::optional<double> number(const Run& run, std::string_view key);
std::optional<std::string> text(const Run& run, std::string_view key);

}  // namespace understudy::report
