#include "tools/reproduce/children.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include "kernels/check.h"

namespace understudy::reproduce {
namespace {

using Phase = ChildState::Phase;
using Clock = std::chrono::steady_clock;

constexpr int exit_saved = 130;         // of our programs after SIGTERM
constexpr int exit_cannot_start = 127;  // as of a shell

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// Starts the program; returns the process.
pid_t start(const Child& child, const std::vector<std::string>& environment) {
  const int log = ::open(child.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(log >= 0, "{}: cannot be opened: {}", child.log.string(), std::strerror(errno));
  const std::vector<char*> arguments = pointers(child.command), names = pointers(environment);
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process == 0) {
    // Between fork and exec only what is safe in a signal handler: other threads may hold locks.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(exit_saved);  // it died before the line above
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(log, STDOUT_FILENO) >= 0 &&
        ::dup2(log, STDERR_FILENO) >= 0 && ::chdir(child.folder.c_str()) == 0)
      ::execve(arguments[0], arguments.data(), names.data());
    const char* const texts[] = {arguments[0], ": cannot be run: ", ::strerror(errno), "\n"};
    for (const char* text : texts)
      if (::write(log, text, std::strlen(text)) < 0) break;
    ::_exit(exit_cannot_start);
  }
  const int error = errno;
  ::close(log);
  check(process > 0, "{}: no process can be made: {}", child.name, std::strerror(error));
  return process;
}

struct Running {
  std::size_t index;
  pid_t process;
  Clock::time_point since;
};

// What the end of a process means.
void conclude(ChildState& state, const Child& child, int status, bool stopping) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    state.phase = Phase::done;
  } else if (stopping && WIFEXITED(status) && WEXITSTATUS(status) == exit_saved) {
    state.phase = Phase::interrupted;
  } else if (stopping && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) {
    state.phase = Phase::interrupted;  // before it listened to signals
  } else if (WIFSIGNALED(status)) {
    state.phase = Phase::failed;
    state.reason =
        fmt::format("ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  } else {
    state.phase = Phase::failed;
    state.reason = last_line(child.log);
    if (state.reason.empty()) state.reason = fmt::format("exit status {}", WEXITSTATUS(status));
  }
}

}  // namespace

std::vector<ChildState> run_children(const std::vector<Child>& children,
                                     const ChildrenOptions& options) {
  std::vector<ChildState> states(children.size());
  std::vector<Running> running;
  bool stopping = false;

  // Whether a child may begin now; its state says so when it never can.
  const auto ready = [&](std::size_t i) {
    if (states[i].phase != Phase::waiting) return false;
    bool all_done = true;
    for (const std::size_t needed : children[i].after) {
      const Phase phase = states[needed].phase;
      if (phase == Phase::failed || phase == Phase::impossible) {
        states[i].phase = Phase::impossible;
        states[i].reason = fmt::format("needs {}, which failed", children[needed].name);
        return false;
      }
      all_done = all_done && phase == Phase::done;
    }
    return all_done;
  };
  const auto reap = [&] {
    std::erase_if(running, [&](const Running& one) {
      ChildState& state = states[one.index];
      state.seconds = std::chrono::duration<double>(Clock::now() - one.since).count();
      int status = 0;
      const pid_t ended = ::waitpid(one.process, &status, WNOHANG);
      check(ended >= 0 || errno == EINTR, "{}: cannot be waited for: {}", children[one.index].name,
            std::strerror(errno));
      if (ended <= 0) return false;
      conclude(state, children[one.index], status, stopping);
      return true;
    });
  };

  for (;;) {
    reap();
    if (!stopping && options.stop()) {
      stopping = true;
      for (const Running& one : running) ::kill(one.process, SIGTERM);
      for (ChildState& state : states)
        if (state.phase == Phase::waiting) state.phase = Phase::interrupted;
    }
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (!ready(i) || running.size() >= options.at_once) continue;
      running.push_back({i, start(children[i], options.environment), Clock::now()});
      states[i].phase = Phase::running;
    }
    options.watch(states);
    if (std::all_of(states.begin(), states.end(),
                    [](const ChildState& state) { return state.ended(); }))
      return states;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::string last_line(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);)
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  return last;
}

}  // namespace understudy::reproduce
