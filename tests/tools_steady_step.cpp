// What whole steps take from the machine once they are under way: nothing.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>

#include "engine/storage.h"
#include "kernels/parallel.h"
#include "tools/bench_steps/workloads.h"

namespace understudy {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_plain_build = false;
#else
constexpr bool is_plain_build = true;
#endif

constexpr long most_faults = 4;  // a page or two of the test's own

// Pages that the system had to give this process.
long page_faults() {
  rusage usage{};
  REQUIRE(::getrusage(RUSAGE_SELF, &usage) == 0);
  return usage.ru_minflt + usage.ru_majflt;
}

TEST_SUITE("tools") {
  TEST_CASE("a steady step allocates nothing and faults no page") {
    if (!is_plain_build) {
      MESSAGE("[skipped] a sanitizer keeps memory of its own, and is slow");
      return;
    }
    const int threads_before = num_threads();
    for (const int threads : {1, 2})
      for (const std::string& name : workload_names()) {
        if (name == "resnet18-512") continue;  // resnet18's step, and too much for a test
        CAPTURE(name);
        CAPTURE(threads);
        set_num_threads(threads);
        Generator generator(1);
        const auto workload = make_workload(name, generator);
        const auto step = [&] {
          workload->prepare();
          workload->work();
        };
        for (int i = 0; i < 2; ++i) step();
        const std::int64_t allocations = allocator_statistics({}).device_allocations;
        // The system may take pages away and give them back: a step that faults by itself does so
        // every time.
        long fewest_faults = most_faults + 1;
        for (int round = 0; round < 5 && fewest_faults > most_faults; ++round) {
          const long before = page_faults();
          step();
          fewest_faults = std::min(fewest_faults, page_faults() - before);
        }
        CHECK(fewest_faults <= most_faults);
        CHECK(allocator_statistics({}).device_allocations == allocations);
      }
    set_num_threads(threads_before);
  }
}

}  // namespace
}  // namespace understudy
