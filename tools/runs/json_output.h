// Where --json sends the final results.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace understudy {

// Exists for the length of a run. With "-" stdout belongs to the one JSON object: what the program
// prints there goes to stderr while this exists, or nowhere with --quiet.
class JsonOutput {
 public:
  // "" for none. UsageError for a place that cannot be written: better before the work than after.
  JsonOutput(std::filesystem::path target, bool quiet);
  ~JsonOutput();
  JsonOutput(const JsonOutput&) = delete;
  JsonOutput& operator=(const JsonOutput&) = delete;

  void write(const nlohmann::json& value) const;

 private:
  std::filesystem::path target_;
  int stdout_ = -1;  // the real one, where the target is "-"
};

}  // namespace understudy
