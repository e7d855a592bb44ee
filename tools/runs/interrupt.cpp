#include "tools/runs/interrupt.h"

#include <signal.h>

namespace understudy {
namespace {

volatile sig_atomic_t caught = 0;
struct sigaction before_int, before_term;

void mark(int signal) {
  if (caught) {
    // The second time: end as if nothing had been installed.
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  caught = 1;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  caught = 0;
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

bool interrupted() { return caught != 0; }

}  // namespace understudy
