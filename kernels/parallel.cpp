#include "kernels/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/check.h"

namespace understudy {
namespace {

constexpr int max_threads = 1024;

thread_local bool stays_on_thread = false;

// How long a thread polls before it sleeps. Steps of small networks follow each other within this
// time, and waking a sleeping thread costs several microseconds.
constexpr std::chrono::microseconds spin_time{40};

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int cores_available() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) > 0)
    return std::min(CPU_COUNT(&mask), max_threads);
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, max_threads);
}

// Returns when value != old: polls at first where `spin` allows it, then sleeps.
template <class T>
void wait_while_equal(const std::atomic<T>& value, T old, bool spin) {
  if (spin) {
    const auto limit = std::chrono::steady_clock::now() + spin_time;
    do {
      for (int i = 0; i < 32; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < limit);
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

class Pool {
 public:
  ~Pool() { stop_workers(); }

  int size() const { return size_.load(std::memory_order_relaxed); }

  void resize(int count) {
    check(!busy_.exchange(true, std::memory_order_acquire),
          "[set_num_threads] the number of threads cannot change while a parallel loop runs");
    stop_workers();
    size_.store(count, std::memory_order_relaxed);
    busy_.store(false, std::memory_order_release);
  }

  void run(int chunks, ChunkBody body) {
    if (chunks <= 0) return;
    if (chunks == 1) return body(0);
    if (size() == 1 || stays_on_thread || busy_.exchange(true, std::memory_order_acquire))
      return run_in_turn(chunks, body);
    // Released on every way out; failing to start a thread throws.
    const struct Release {
      std::atomic<bool>& busy;
      ~Release() { busy.store(false, std::memory_order_release); }
    } release{busy_};
    if (workers_.empty()) start_workers();

    const int helpers = std::min(chunks, size()) - 1;
    chunks_ = chunks;
    body_ = &body;
    first_failed_ = chunks;
    pending_.store(helpers, std::memory_order_relaxed);
    for (int i = 0; i < helpers; ++i) {
      workers_[i]->ticket.fetch_add(1, std::memory_order_release);
      workers_[i]->ticket.notify_one();
    }
    run_share(0);
    for (int left; (left = pending_.load(std::memory_order_acquire)) != 0;)
      wait_while_equal(pending_, left, spin_);
    if (first_failed_ != chunks) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  // A worker sleeps on its own ticket; a job is one step of it. Only the workers that take part in
  // a job are called, and all of them have answered before the next job is written.
  struct alignas(64) Worker {
    std::atomic<unsigned> ticket{0};
    std::thread thread;
  };

  static void run_in_turn(int chunks, ChunkBody body) {
    std::exception_ptr error;
    for (int i = 0; i < chunks; ++i) {
      try {
        body(i);
      } catch (...) {
        if (!error) error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
  }

  void run_share(int first) {
    for (int i = first; i < chunks_; i += size()) {
      try {
        (*body_)(i);
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (i < first_failed_) {
          first_failed_ = i;
          error_ = std::current_exception();
        }
      }
    }
  }

  void start_workers() {
    spin_ = size() <= cores_available();
    stopping_ = false;
    // Signals belong to the program's own threads.
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    try {
      for (int i = 1; i < size(); ++i) {
        workers_.push_back(std::make_unique<Worker>());
        Worker& worker = *workers_.back();
        worker.thread = std::thread([this, &worker, i] { work(worker, i); });
      }
    } catch (const std::exception& e) {
      pthread_sigmask(SIG_SETMASK, &old, nullptr);
      if (!workers_.empty() && !workers_.back()->thread.joinable()) workers_.pop_back();
      const std::size_t started = workers_.size();
      stop_workers();
      fail("cannot start worker thread {} of {}: {}; ask for fewer threads", started + 1,
           size() - 1, e.what());
    }
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  }

  void stop_workers() {
    stopping_ = true;
    for (auto& worker : workers_) {
      worker->ticket.fetch_add(1, std::memory_order_release);
      worker->ticket.notify_one();
    }
    for (auto& worker : workers_) worker->thread.join();
    workers_.clear();
  }

  void work(Worker& self, int index) {
    for (unsigned seen = 0;; ++seen) {
      wait_while_equal(self.ticket, seen, spin_);
      if (stopping_) return;
      run_share(index);
      // The last one to finish wakes the caller; the others' steps it merely sees.
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
    }
  }

  std::atomic<int> size_ = cores_available();
  std::atomic<bool> busy_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool spin_ = true;
  bool stopping_ = false;

  // The job. Written by the caller before it steps the tickets.
  int chunks_ = 0;
  const ChunkBody* body_ = nullptr;
  alignas(64) std::atomic<int> pending_ = 0;
  std::mutex error_mutex_;
  int first_failed_ = 0;
  std::exception_ptr error_;
};

Pool& pool() {
  static Pool instance;
  return instance;
}

}  // namespace

int num_threads() { return pool().size(); }

void set_num_threads(int count) {
  if (count < 1 || count > max_threads)
    throw UsageError(
        fmt::format("threads = {}: expected a number from 1 to {}", count, max_threads));
  pool().resize(count);
}

StayOnThread::StayOnThread() : before_(std::exchange(stays_on_thread, true)) {}
StayOnThread::~StayOnThread() { stays_on_thread = before_; }

void run_chunks(int chunks, ChunkBody body) { pool().run(chunks, body); }

}  // namespace understudy
