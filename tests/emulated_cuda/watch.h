// What the sanitizers must be told of a grid that runs on fibers; nothing without them.
//
// ASan: which stack is in use. TSan: which thread of the block is running, and what orders it
// against the others. Here that is __syncthreads alone (a shuffle orders no memory, says CUDA's
// guide), so TSan reports two threads of a block that touch the same shared or global memory with
// no barrier between them, whatever order the emulator runs them in. Blocks count as one after the
// other, because they use the same shared memory here.
#pragma once

#include <cstddef>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef UNDERSTUDY_WATCH_RACES
#include <sanitizer/tsan_interface.h>
#endif

namespace emulated::watch {

#ifdef __SANITIZE_ADDRESS__

class Stacks {
 public:
  void to_fiber(void** saved, const char* stack, std::size_t bytes) {
    __sanitizer_start_switch_fiber(saved, stack, bytes);
  }
  void in_fiber(void* saved) { __sanitizer_finish_switch_fiber(saved, &scheduler_, &bytes_); }
  void to_scheduler(void** saved) { __sanitizer_start_switch_fiber(saved, scheduler_, bytes_); }
  void in_scheduler(void* saved) { __sanitizer_finish_switch_fiber(saved, nullptr, nullptr); }

 private:
  const void* scheduler_ = nullptr;
  std::size_t bytes_ = 0;
};

#else

struct Stacks {
  void to_fiber(void**, const char*, std::size_t) {}
  void in_fiber(void*) {}
  void to_scheduler(void**) {}
  void in_scheduler(void*) {}
};

#endif

#ifdef UNDERSTUDY_WATCH_RACES

// TSan's identity belongs to a thread's number in its block.
class Races {
 public:
  static constexpr bool are_watched = true;

  ~Races() {
    for (void* thread : threads_) __tsan_destroy_fiber(thread);
  }
  void block_begins(std::size_t threads) {
    while (threads_.size() < threads) threads_.push_back(__tsan_create_fiber(0));
    scheduler_ = __tsan_get_current_fiber();
    __tsan_release(&begin_);
  }
  void block_ends() { __tsan_acquire(&end_); }
  void to_thread(int thread) {
    __tsan_switch_to_fiber(threads_[static_cast<std::size_t>(thread)],
                           __tsan_switch_to_fiber_no_sync);
  }
  void to_scheduler() { __tsan_switch_to_fiber(scheduler_, __tsan_switch_to_fiber_no_sync); }
  // By the thread itself. A thread may reach the next barrier before another has left this one,
  // so there are two by turns.
  void thread_begins() { __tsan_acquire(&begin_); }
  void thread_ends() { __tsan_release(&end_); }
  void barrier_reached(unsigned turn) { __tsan_release(&barrier_[turn % 2]); }
  void barrier_left(unsigned turn) { __tsan_acquire(&barrier_[turn % 2]); }

 private:
  std::vector<void*> threads_;
  void* scheduler_ = nullptr;
  char begin_ = 0, end_ = 0, barrier_[2] = {};
};

#else

struct Races {
  static constexpr bool are_watched = false;
  void block_begins(std::size_t) {}
  void block_ends() {}
  void to_thread(int) {}
  void to_scheduler() {}
  void thread_begins() {}
  void thread_ends() {}
  void barrier_reached(unsigned) {}
  void barrier_left(unsigned) {}
};

#endif

}  // namespace emulated::watch
