// The project's one pool of worker threads, and loops over it.
//
// A loop of n steps is cut into chunks of consecutive steps. How many chunks, and where they begin,
// depends on n, on the grain and on the number of threads only, never on timing; so a kernel that
// combines its chunks in order gives the same bits every time. Chunk i runs on thread i (0 is the
// caller), which keeps each thread's part of an array in its own cache.
//
// Where the pool is not free (a loop inside a loop, or a second thread's loop), the caller runs the
// same chunks one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace understudy {

// Threads that take part in a loop, the caller's among them. At first: the cores this process may
// run on (its affinity mask).
int num_threads();

// Ends the old workers. UsageError unless 1 <= count <= 1024; Error from inside a parallel loop.
void set_num_threads(int count);

// A reference to a callable, for the length of a call: two pointers, no allocation.
class ChunkBody {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, ChunkBody>) ChunkBody(F&& body)
      : body_(const_cast<void*>(static_cast<const void*>(std::addressof(body)))),
        call_([](void* f, int chunk) { (*static_cast<std::remove_reference_t<F>*>(f))(chunk); }) {}
  void operator()(int chunk) const { call_(body_, chunk); }

 private:
  void* body_;
  void (*call_)(void*, int);
};

// Runs body(0) ... body(chunks - 1) and returns when all are done. At most num_threads() of them
// run at once; with more chunks than threads, thread t takes t, t + threads, ... When bodies throw,
// the exception of the lowest chunk comes back to the caller, after all chunks have ended.
void run_chunks(int chunks, ChunkBody body);

// While one exists, the loops of its thread run on this thread alone, in the same chunks: a thread
// that works beside the main one leaves the pool to it.
class StayOnThread {
 public:
  StayOnThread();
  ~StayOnThread();
  StayOnThread(const StayOnThread&) = delete;
  StayOnThread& operator=(const StayOnThread&) = delete;

 private:
  bool before_;
};

struct Chunk {
  std::int64_t begin, end;
};

// At least `grain` steps each, at most one per thread; 1 for n <= grain.
inline int chunk_count(std::int64_t n, std::int64_t grain) {
  if (n < 2 * grain) return 1;
  const std::int64_t most = n / grain, threads = num_threads();
  return static_cast<int>(most < threads ? most : threads);
}

// Chunk i of `chunks`. Long chunks begin at multiples of 64, so that two threads do not write to
// one cache line.
inline Chunk chunk_at(std::int64_t n, int chunks, int i) {
  const std::int64_t step = n / chunks, rest = n % chunks;
  const std::int64_t mask = step >= 1024 ? ~std::int64_t{63} : ~std::int64_t{0};
  const auto edge = [&](std::int64_t k) {
    return k == chunks ? n : (step * k + rest * k / chunks) & mask;
  };
  return {edge(i), edge(i + 1)};
}

// body(begin, end) over consecutive parts of [0, n). No call for n = 0.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  if (n <= 0) return;
  const int chunks = chunk_count(n, grain);
  if (chunks == 1) return body(std::int64_t{0}, n);
  run_chunks(chunks, [&](int i) {
    const Chunk chunk = chunk_at(n, chunks, i);
    body(chunk.begin, chunk.end);
  });
}

}  // namespace understudy
