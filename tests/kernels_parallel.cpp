#include "kernels/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/check.h"

using namespace understudy;
using namespace understudy;

namespace {

// Restores the number of threads at the end of a test.
struct Threads {
  int before = num_threads();
  explicit Threads(int count) { set_num_threads(count); }
  ~Threads() { set_num_threads(before); }
};

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("a parallel loop visits every step once") {
    for (const int threads : {1, 2, 3, 7}) {
      const Threads setting(threads);
      for (const std::int64_t n : {0, 1, 2, 5, 63, 64, 65, 1000, 4096, 100003}) {
        for (const std::int64_t grain : {1, 3, 64, 5000}) {
          CAPTURE(threads);
          CAPTURE(n);
          CAPTURE(grain);
          std::vector<int> visits(static_cast<std::size_t>(n), 0);
          std::atomic<bool> in_range = true;
          parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
            if (begin < 0 || begin >= end || end > n) in_range = false;
            for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
          });
          CHECK(in_range);
          CHECK(visits == std::vector<int>(static_cast<std::size_t>(n), 1));
        }
      }
    }
  }

  TEST_CASE("a thread that stays on its own runs the same chunks there") {
    const Threads setting(4);
    const auto this_thread = std::this_thread::get_id();
    std::vector<Chunk> chunks;
    std::int64_t elsewhere = 0;
    {
      const StayOnThread outer;
      { const StayOnThread inner; }
      parallel_for(1000, 10, [&](std::int64_t begin, std::int64_t end) {
        chunks.push_back({begin, end});
        elsewhere += std::this_thread::get_id() != this_thread;
      });
    }
    CHECK(elsewhere == 0);
    REQUIRE(chunks.size() == 4);
    for (int i = 0; i < 4; ++i) {
      CHECK(chunks[static_cast<std::size_t>(i)].begin == chunk_at(1000, 4, i).begin);
      CHECK(chunks[static_cast<std::size_t>(i)].end == chunk_at(1000, 4, i).end);
    }
    std::atomic<int> others = 0;
    run_chunks(4, [&](int) { others += std::this_thread::get_id() != this_thread; });
    CHECK(others == 3);  // over when the scope is
  }

  TEST_CASE("chunks cover the range in order and respect the grain") {
    const Threads setting(5);
    CHECK(chunk_count(99, 50) == 1);
    CHECK(chunk_count(100, 50) == 2);
    CHECK(chunk_count(1 << 20, 1) == 5);
    for (const std::int64_t n : {5, 17, 5121, 1000003}) {
      for (int chunks = 1; chunks <= 5; ++chunks) {
        std::int64_t at = 0;
        for (int i = 0; i < chunks; ++i) {
          const Chunk chunk = chunk_at(n, chunks, i);
          CHECK(chunk.begin == at);
          CHECK(chunk.end > chunk.begin);
          at = chunk.end;
        }
        CHECK(at == n);
      }
    }
  }

  TEST_CASE("more chunks than threads all run") {
    const Threads setting(3);
    std::vector<int> runs(100, 0);
    run_chunks(100, [&](int i) { ++runs[static_cast<std::size_t>(i)]; });
    CHECK(runs == std::vector<int>(100, 1));
  }

  TEST_CASE("a loop inside a loop runs on its own thread, in the same chunks") {
    const Threads setting(4);
    std::atomic<int> total = 0, elsewhere = 0, inner_chunks = 0;
    run_chunks(4, [&](int) {
      const auto self = std::this_thread::get_id();
      run_chunks(4, [&](int) {
        ++inner_chunks;
        if (std::this_thread::get_id() != self) ++elsewhere;
      });
      parallel_for(1000, 1, [&](std::int64_t begin, std::int64_t end) {
        total += static_cast<int>(end - begin);
      });
    });
    CHECK(total == 4000);
    CHECK(inner_chunks == 16);
    CHECK(elsewhere == 0);
  }

  TEST_CASE("loops of several threads do not disturb each other") {
    const Threads setting(3);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&wrong, caller] {
        for (int round = 0; round < 300; ++round) {
          std::vector<int> values(997, 0);
          parallel_for(997, 16, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i)
              values[static_cast<std::size_t>(i)] += caller + round;
          });
          for (const int value : values)
            if (value != caller + round) ++wrong;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
  }

  TEST_CASE("many short loops, with pauses in which workers fall asleep") {
    const Threads setting(3);
    std::int64_t total = 0;
    for (int round = 0; round < 3000; ++round) {
      std::int64_t part[3] = {};
      run_chunks(3, [&](int i) { part[i] = i + 1; });
      total += std::accumulate(part, part + 3, std::int64_t{0});
      if (round % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    CHECK(total == 3000 * 6);
  }

  TEST_CASE("an exception comes back after all chunks have ended, the lowest chunk's first") {
    for (const int threads : {1, 4}) {
      const Threads setting(threads);
      std::atomic<int> ended = 0;
      const auto body = [&](int i) {
        ++ended;
        if (i >= 1) throw std::runtime_error(std::to_string(i));
      };
      CHECK_THROWS_WITH_AS(run_chunks(4, body), "1", std::runtime_error);
      CHECK(ended == 4);
      // The pool still works.
      std::atomic<int> runs = 0;
      run_chunks(4, [&](int) { ++runs; });
      CHECK(runs == 4);
    }
  }

  TEST_CASE("the number of threads can change between loops, and only there") {
    const Threads setting(2);
    for (const int threads : {3, 1, 4, 2}) {
      set_num_threads(threads);
      CHECK(num_threads() == threads);
      std::atomic<int> runs = 0;
      run_chunks(8, [&](int) { ++runs; });
      CHECK(runs == 8);
    }
    CHECK_THROWS_AS(set_num_threads(0), UsageError);
    CHECK_THROWS_AS(set_num_threads(-3), UsageError);
    CHECK_THROWS_AS(set_num_threads(1000000), UsageError);
    CHECK_THROWS_AS(run_chunks(2, [](int) { set_num_threads(3); }), Error);
    CHECK(num_threads() == 2);
  }
}
