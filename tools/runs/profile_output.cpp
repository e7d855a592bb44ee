#include "tools/runs/profile_output.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "kernels/check.h"

namespace understudy {

void add_profile_option(Options& options, std::filesystem::path& target) {
  options
      .add("profile", &target,
           "measure every op: a table at the end, and a trace for chrome://tracing or Perfetto "
           "in this file")
      .free();
}

ProfileOutput::ProfileOutput(std::filesystem::path trace) : trace_(std::move(trace)) {
  if (trace_.empty()) return;
  const std::filesystem::path folder = trace_.has_parent_path() ? trace_.parent_path() : ".";
  if (!std::filesystem::is_directory(folder))
    throw UsageError(
        fmt::format("--profile {}: there is no folder {}", trace_.string(), folder.string()));
  if (std::filesystem::is_directory(trace_))
    throw UsageError(fmt::format("--profile {}: is a folder; name a file", trace_.string()));
}

void ProfileOutput::begin() {
  if (!trace_.empty()) profiler_.emplace();
}

void ProfileOutput::finish() {
  if (!profiler_) return;
  profiler_->write_trace(trace_);
  fmt::print(stderr, "{}trace: {} (open it in ui.perfetto.dev or chrome://tracing)\n",
             profiler_->table(), trace_.string());
  profiler_.reset();
}

}  // namespace understudy
