// Where the time goes: every op measured while a Profiler exists, at the cost of one load from
// memory an op while none does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/op_name.h"

namespace understudy {

// Collects the ops of all threads from its construction to its end. One at a time: Error otherwise.
class Profiler {
 public:
  Profiler();
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  // One op's calls. Forward times are its own, without the ops that it calls; backward times are
  // with all that it calls.
  struct Row {
    std::string op;
    double forward_seconds = 0, backward_seconds = 0;
    std::int64_t forward_calls = 0, backward_calls = 0;
    double seconds() const { return forward_seconds + backward_seconds; }
  };
  std::vector<Row> rows() const;  // the longest first
  // The rows as text, with what is left of the wall time since the start as "outside of ops".
  std::string table() const;
  // The first 200,000 ops as the Trace Event Format that chrome://tracing and ui.perfetto.dev open.
  // Written whole or not at all.
  void write_trace(const std::filesystem::path& path) const;

 private:
  std::chrono::steady_clock::time_point start_;
};

// An op in its scope. `op` must outlive the Profiler: a literal or an op table's name.
class ProfileScope {
 public:
  enum class Pass : std::uint8_t { forward, backward };
  explicit ProfileScope(const char* op, Pass pass = Pass::forward) : name_(op) {
    if (active.load(std::memory_order_relaxed)) [[unlikely]]
      begin(op, pass);
  }
  ~ProfileScope() {
    if (op_ != nullptr) [[unlikely]]
      end();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  friend class Profiler;
  static inline std::atomic<bool> active{false};
  void begin(const char* op, Pass pass);
  void end();

  OpName name_;  // for messages; op_ is set while a Profiler exists
  const char* op_ = nullptr;
  Pass pass_ = Pass::forward;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::duration children_{};
  ProfileScope* parent_ = nullptr;
};

}  // namespace understudy
