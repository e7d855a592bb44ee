#include "tools/runs/interrupt.h"

#include <signal.h>

#include <atomic>

namespace understudy {
namespace {

// Lock-free, so that the handler may write it on whichever thread the signal arrives.
std::atomic<bool> caught = false;
static_assert(std::atomic<bool>::is_always_lock_free);
struct sigaction before_int, before_term;

void mark(int signal) {
  if (caught.exchange(true)) {
    // The second time: end as if nothing had been installed.
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  caught = false;
  struct sigaction action = {};
  action.sa_handler = mark;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before_int);
  sigaction(SIGTERM, &action, &before_term);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before_int, nullptr);
  sigaction(SIGTERM, &before_term, nullptr);
}

bool interrupted() { return caught; }

}  // namespace understudy
