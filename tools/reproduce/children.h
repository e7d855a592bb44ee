// Runs programs as child processes: so many at once, each after those that it needs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace understudy::reproduce {

struct Child {
  std::string name;
  std::vector<std::string> command;  // the program's path, then its arguments
  std::filesystem::path folder;      // it runs in
  std::filesystem::path log;         // gets its stdout and stderr
  std::vector<std::size_t> after;    // begins when these have ended well, and not if they fail
};

struct ChildState {
  enum class Phase {
    waiting,
    running,
    done,
    failed,
    impossible,   // one that it needs has failed
    interrupted,  // stopped by us, or not begun before we were asked to stop
  };
  Phase phase = Phase::waiting;
  double seconds = 0;  // of running, so far
  std::string reason;  // of a failure: the last line of its log, or what ended it
  bool ended() const { return phase != Phase::waiting && phase != Phase::running; }
};

struct ChildrenOptions {
  std::size_t at_once = 1;
  // Asked all the time. Once true, nothing begins any more, and what runs gets SIGTERM, upon which
  // our programs save and exit; they are waited for.
  std::function<bool()> stop = [] { return false; };
  // Called several times a second with the states of all.
  std::function<void(const std::vector<ChildState>&)> watch = [](const auto&) {};
  // The environment of the children, NAME=value.
  std::vector<std::string> environment;
};

// Returns when all have ended. Children are in process groups of their own, so that Ctrl-C on a
// terminal reaches them through us alone, and get SIGTERM when this process dies. `after` points to
// earlier children.
std::vector<ChildState> run_children(const std::vector<Child>& children,
                                     const ChildrenOptions& options);

// The last line of a file that is not blank; "" where there is none.
std::string last_line(const std::filesystem::path& file);

}  // namespace understudy::reproduce
