// A grid of blocks on one thread of the CPU. The threads of a block are fibers: each runs until it
// ends or waits at a barrier or a shuffle, and goes on when all that it waits for have come.
#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cuda_runtime.h"
#include "grid.h"
#include "watch.h"

namespace emulated {
namespace {

constexpr std::size_t stack_bytes = std::size_t{128} << 10;

enum class State { running, at_barrier, at_exchange, ended };

// A stack and where its code stands. It is used for one thread after the other.
struct Fiber {
  std::unique_ptr<char[]> stack;
  jmp_buf at;
  bool started = false;
};

struct Thread {
  Fiber* fiber = nullptr;
  State state = State::running;
  unsigned long long slot[2] = {};  // what it gives in an exchange, by turns
  unsigned turn = 0, barriers = 0;
};

// One for each thread of the CPU that runs grids.
struct Machine {
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  std::vector<Thread> threads;
  const std::function<void()>* body = nullptr;
  int current = 0;
  jmp_buf scheduler;
  watch::Stacks stacks;
  watch::Races races;
};
thread_local Machine machine;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "emulated GPU: %s (block %u, thread %u)\n", what, blockIdx.x, threadIdx.x);
  std::abort();
}

// The fiber of the current thread gives the word back.
void suspend(State state) {
  Thread& thread = machine.threads[static_cast<std::size_t>(machine.current)];
  thread.state = state;
  void* saved = nullptr;
  if (_setjmp(thread.fiber->at) == 0) {
    machine.stacks.to_scheduler(&saved);
    machine.races.to_scheduler();
    _longjmp(machine.scheduler, 1);
  }
  machine.stacks.in_fiber(saved);
}

void fiber_main() {
  machine.stacks.in_fiber(nullptr);
  while (true) {
    machine.races.thread_begins();
    (*machine.body)();
    machine.races.thread_ends();
    suspend(State::ended);
  }
}

void place_threads(int index) {
  machine.current = index;
  const auto i = static_cast<unsigned>(index);
  threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
}

void resume(int index) {
  place_threads(index);
  Thread& thread = machine.threads[static_cast<std::size_t>(index)];
  thread.state = State::running;
  Fiber& fiber = *thread.fiber;
  void* saved = nullptr;
  if (_setjmp(machine.scheduler) == 0) {
    machine.stacks.to_fiber(&saved, fiber.stack.get(), stack_bytes);
    machine.races.to_thread(index);
    if (fiber.started) _longjmp(fiber.at, 1);
    fiber.started = true;
    static thread_local ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.get();
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = nullptr;
    makecontext(&context, fiber_main, 0);
    setcontext(&context);
  }
  machine.stacks.in_scheduler(saved);
}

Fiber* new_fiber() {
  machine.fibers.push_back(std::make_unique<Fiber>());
  machine.fibers.back()->stack = std::make_unique_for_overwrite<char[]>(stack_bytes);
  return machine.fibers.back().get();
}

// Few stacks serve a block whose threads never wait; each thread has one of its own where each is
// watched.
Fiber* fiber_for(int index) {
  if (watch::Races::are_watched) {
    while (machine.fibers.size() <= static_cast<std::size_t>(index)) new_fiber();
    return machine.fibers[static_cast<std::size_t>(index)].get();
  }
  if (machine.idle.empty()) return new_fiber();
  Fiber* const fiber = machine.idle.back();
  machine.idle.pop_back();
  return fiber;
}

// Lets a thread run, until it waits or ends.
void run_thread(int index) {
  resume(index);
  const Thread& thread = machine.threads[static_cast<std::size_t>(index)];
  if (thread.state == State::ended && !watch::Races::are_watched)
    machine.idle.push_back(thread.fiber);
}

// All threads of [first, last) that have not ended are in `state`, and there is one.
bool all_wait(int first, int last, State state) {
  bool some = false;
  for (int i = first; i < last; ++i) {
    const State found = machine.threads[static_cast<std::size_t>(i)].state;
    if (found == State::ended) continue;
    if (found != state) return false;
    some = true;
  }
  return some;
}

void go_on(int first, int last, bool reversed) {
  for (int i = first; i < last; ++i) {
    const int index = reversed ? last - 1 - (i - first) : i;
    if (machine.threads[static_cast<std::size_t>(index)].state != State::ended) run_thread(index);
  }
}

void run_block(bool reversed) {
  const int count = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  machine.threads.assign(static_cast<std::size_t>(count), {});
  for (int i = 0; i < count; ++i) {
    const int index = reversed ? count - 1 - i : i;
    machine.threads[static_cast<std::size_t>(index)].fiber = fiber_for(index);
    run_thread(index);
  }
  while (true) {
    bool moved = false, waiting = false;
    for (int first = 0; first < count; first += warpSize) {
      const int last = first + warpSize < count ? first + warpSize : count;
      while (all_wait(first, last, State::at_exchange)) {
        go_on(first, last, reversed);
        moved = true;
      }
    }
    if (all_wait(0, count, State::at_barrier)) {
      go_on(0, count, reversed);
      moved = true;
    }
    for (const Thread& thread : machine.threads) waiting |= thread.state != State::ended;
    if (!waiting) return;
    if (!moved) broken("threads wait for each other at different places");
  }
}

}  // namespace

void run_grid(const unsigned (&blocks)[3], const unsigned (&threads)[3], bool reversed,
              const std::function<void()>& thread) {
  machine.body = &thread;
  gridDim = dim3(blocks[0], blocks[1], blocks[2]);
  blockDim = dim3(threads[0], threads[1], threads[2]);
  const unsigned per_block = threads[0] * threads[1] * threads[2];
  // Made before the block begins, so that no thread is said to race with its stack's making.
  if (watch::Races::are_watched) fiber_for(static_cast<int>(per_block) - 1);
  const unsigned long long count = 1ull * blocks[0] * blocks[1] * blocks[2];
  for (unsigned long long i = 0; i < count; ++i) {
    const unsigned long long b = reversed ? count - 1 - i : i;
    blockIdx = {static_cast<unsigned>(b % blocks[0]),
                static_cast<unsigned>(b / blocks[0] % blocks[1]),
                static_cast<unsigned>(b / blocks[0] / blocks[1])};
    machine.races.block_begins(per_block);
    run_block(reversed);
    machine.races.block_ends();
  }
}

void block_barrier() {
  const unsigned turn = machine.threads[static_cast<std::size_t>(machine.current)].barriers++;
  machine.races.barrier_reached(turn);
  suspend(State::at_barrier);
  machine.races.barrier_left(turn);
}

int lane_here() { return machine.current % warpSize; }

// A lane may be one exchange ahead of another that has not yet read, so there are two slots.
unsigned long long exchange(unsigned long long value, int lane) {
  const int self = machine.current;
  Thread& thread = machine.threads[static_cast<std::size_t>(self)];
  const unsigned turn = thread.turn++ % 2;
  thread.slot[turn] = value;
  suspend(State::at_exchange);
  const auto from = static_cast<std::size_t>(self / warpSize * warpSize + lane);
  if (from >= machine.threads.size()) broken("a shuffle reads a lane that is not there");
  return machine.threads[from].slot[turn];
}

}  // namespace emulated
