#include "datasets/work_ahead.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace understudy {

WorkAhead::WorkAhead(std::int64_t workers, std::size_t slots, Make make)
    : make_(std::move(make)), slots_(slots) {
  if (workers < 0 || workers > 1024)
    throw UsageError(fmt::format("workers = {}: expected a number from 0 to 1024", workers));
  check(slots >= 1, "[WorkAhead] expected at least one slot, found {}", slots);
  start_threads(workers);
}

WorkAhead::~WorkAhead() { end_threads(); }

// One that is taken, and two for each worker: one ready, one being made.
std::size_t WorkAhead::slots_for(std::int64_t workers) {
  return 1 + 2 * static_cast<std::size_t>(workers);
}

void WorkAhead::start_threads(std::int64_t workers) {
  // Signals belong to the program's own threads.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  try {
    for (std::int64_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::exception& error) {
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    const std::size_t started = threads_.size();
    end_threads();
    fail("cannot start worker {} of {}: {}; ask for fewer", started + 1, workers, error.what());
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

void WorkAhead::end_threads() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  to_make_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkAhead::stop() {
  std::unique_lock lock(mutex_);
  end_ = next_;
  made_.wait(lock, [&] { return being_made_ == 0; });
  for (Slot& slot : slots_) slot = {};
  taken_ = end_;
}

void WorkAhead::start(std::int64_t begin, std::int64_t end) {
  check(begin >= 0 && begin <= end, "[WorkAhead] expected 0 <= begin <= end, found {} and {}",
        begin, end);
  stop();
  {
    const std::lock_guard lock(mutex_);
    next_ = taken_ = begin;
    end_ = end;
  }
  to_make_.notify_all();
}

std::size_t WorkAhead::take() {
  std::unique_lock lock(mutex_);
  check(taken_ < end_, "[WorkAhead] expected an item before {}, but all were taken", end_);
  const std::int64_t item = taken_++;
  const std::size_t place = static_cast<std::size_t>(item) % slots_.size();
  if (threads_.empty()) {
    next_ = taken_;
    lock.unlock();
    make_(item, place);
    return place;
  }
  to_make_.notify_one();
  made_.wait(lock, [&] { return slots_[place].ready; });
  const Slot slot = std::exchange(slots_[place], {});
  if (slot.error) std::rethrow_exception(slot.error);
  return place;
}

void WorkAhead::work() {
  const StayOnThread stay;
  const auto count = static_cast<std::int64_t>(slots_.size());
  std::unique_lock lock(mutex_);
  while (true) {
    // The slot of item taken_ - 1 is the taker's.
    to_make_.wait(lock, [&] { return ending_ || (next_ < end_ && next_ < taken_ - 1 + count); });
    if (ending_) return;
    const std::int64_t item = next_++;
    const std::size_t place = static_cast<std::size_t>(item) % slots_.size();
    ++being_made_;
    lock.unlock();
    std::exception_ptr error;
    try {
      make_(item, place);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    --being_made_;
    slots_[place] = {true, std::move(error)};
    made_.notify_all();
  }
}

}  // namespace understudy
