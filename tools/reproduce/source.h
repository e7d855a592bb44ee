// The TOML files of an experiment, and what their sections are read with.
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/reproduce/experiment.h"

namespace understudy::reproduce {

// A parsed file. Never copied: copies of a table forget their lines.
struct Source {
  std::string file;
  std::string sha256;
  toml::table root;
};

// UsageError with file and line.
Source read_source(const std::filesystem::path& path);

// What a section of settings is read with.
struct Reading {
  const std::vector<Source>& sources;  // the experiment's file, then the one with base models
  const Overrides& overrides;
  std::int64_t seed;  // of those of the command line, where it has some

  const std::string& file() const { return sources[0].file; }
};

}  // namespace understudy::reproduce
