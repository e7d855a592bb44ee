// An experiment as its file in tools/experiments/ describes it: which codes, over which models, on
// which data, the most important first; and the figures that were published for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/reproduce/setting.h"

namespace understudy::reproduce {

struct Experiment {
  std::string name;                // "learning-a-code"
  std::string title;               // a line for people
  std::string source;              // the paper
  std::vector<std::string> notes;  // what the paper says in words, a paragraph each
  std::vector<Setting> settings;
  std::vector<nlohmann::json> published;  // the fields of a "published" line of results.jsonl
  std::string sha256;                     // of all that was read
};

// What the command line asks for instead of what the file says.
struct Overrides {
  std::vector<std::int64_t> seeds;  // empty: the file's
  std::int64_t width = 0;           // of every resnet18; 0: the file's
  std::int64_t most_epochs = 0;     // of a code's training; 0: the file's
};

// UsageError with file, line, key and what was expected.
Experiment read_experiment(const std::filesystem::path& file, const Overrides& overrides = {});

}  // namespace understudy::reproduce
