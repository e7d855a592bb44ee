// SIGINT and SIGTERM ask a run to stop: it finishes the step, saves and exits 130. A second signal
// ends it at once.
#pragma once

namespace understudy {

inline constexpr int exit_interrupted = 130;

// While one exists the two signals only set a mark; what was before is put back at the end.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

bool interrupted();  // a signal came since the guard was made

}  // namespace understudy
