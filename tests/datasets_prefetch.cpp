// Batches prepared ahead by other threads: the same ones, whatever the threads, in memory that was
// taken before. Data go from thread to thread here without atomics, so that a thread sanitizer sees
// any that are not handed over properly.
#include "datasets/prefetch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>

#include "datasets/batch_feed.h"
#include "engine/ops.h"
#include "engine/storage.h"
#include "kernels/parallel.h"
#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

using Index = std::vector<std::int64_t>;

// `count` random-looking images of 12x9x3.
Dataset speckled(std::int64_t count) {
  Bytes pixels;
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < count * 12 * 9 * 3; ++i) {
    state = state * 1664525 + 1013904223;
    pixels.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  Index labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i % 10);
  Dataset set;
  set.name = "speckled";
  set.images = Tensor::from(pixels, {count, 12, 9, 3});
  set.labels = Tensor::from(labels, {count});
  set.normalization = {{0.4f, 0.5f, 0.6f}, {0.2f, 0.3f, 0.4f}};
  return set;
}

LoaderOptions augmented(std::int64_t batch_size) {
  return {.batch_size = batch_size, .seed = 3, .augmentation = {.padding = 2, .flip = true}};
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  return std::memcmp(a.view().data, b.view().data,
                     static_cast<std::size_t>(a.count()) * size_of(a.dtype())) == 0;
}

bool same_batch(const Batch& a, const Batch& b) {
  return same_bits(a.images, b.images) && same_bits(a.labels, b.labels) &&
         same_bits(a.index, b.index) && same_bits(a.placement, b.placement);
}

class Threads {
 public:
  explicit Threads(int count) : before_(num_threads()) { set_num_threads(count); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("work ahead: items come in order, each from its own slot") {
  for (const std::int64_t workers : {0, 1, 2, 5})
    for (const std::size_t slots : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
      INFO(fmt::format("{} workers, {} slots", workers, slots));
      std::vector<std::int64_t> made(slots, -1);
      WorkAhead work(workers, slots,
                     [&](std::int64_t item, std::size_t slot) { made[slot] = 3 * item; });
      for (int round = 0; round < 3; ++round) {
        work.start(10 * round, 10 * round + 200);
        for (std::int64_t item = 10 * round; item < 10 * round + 200; ++item) {
          const std::size_t slot = work.take();
          CHECK(slot == static_cast<std::size_t>(item) % slots);
          CHECK(made[slot] == 3 * item);
          made[slot] = -1;  // the taker's until the next take
        }
        CHECK_THROWS_AS(work.take(), Error);
      }
    }
}

TEST_CASE("work ahead: as many items ahead as there are slots, and no more") {
  std::atomic<std::int64_t> begun = 0, taken = 0;
  Index ahead(1000);
  WorkAhead work(3, 4, [&](std::int64_t item, std::size_t) {
    ahead[static_cast<std::size_t>(item)] = item - taken.load();
    ++begun;
  });
  work.start(0, 1000);
  while (begun < 3) std::this_thread::yield();  // three ahead before anything is asked for
  for (int i = 0; i < 1000; ++i) {
    work.take();
    ++taken;
  }
  CHECK(begun == 1000);
  // Item i may begin once take() of item i - 2 has begun, which is counted here afterwards.
  CHECK(*std::max_element(ahead.begin(), ahead.end()) <= 3);
}

TEST_CASE("work ahead: stopping, starting elsewhere, and ending at any point") {
  for (const std::int64_t workers : {0, 1, 3})
    for (int takes = 0; takes < 12; ++takes) {
      std::vector<std::int64_t> made(3);
      WorkAhead work(workers, 3, [&](std::int64_t item, std::size_t slot) { made[slot] = item; });
      work.start(0, 10);
      for (int i = 0; i < std::min(takes, 10); ++i) CHECK(made[work.take()] == i);
      work.start(100, 103);
      // Nothing of what was prepared before is left.
      for (std::int64_t item = 100; item < 100 + std::min(takes, 3); ++item)
        CHECK(made[work.take()] == item);
      if (takes % 2) {
        work.stop();
        CHECK_THROWS_AS(work.take(), Error);
        made.assign(3, -1);  // nobody else has it after stop()
      }
    }
}

TEST_CASE("work ahead: what making an item throws comes out where it is taken") {
  for (const std::int64_t workers : {0, 1, 2, 4}) {
    std::vector<std::int64_t> made(5);
    WorkAhead work(workers, 5, [&](std::int64_t item, std::size_t slot) {
      check(item % 3 != 1, "item {} cannot be made", item);
      made[slot] = item;
    });
    for (int round = 0; round < 2; ++round) {
      work.start(0, 20);
      for (std::int64_t item = 0; item < 20; ++item) {
        if (item % 3 == 1)
          CHECK(error_of([&] { work.take(); }) == fmt::format("item {} cannot be made", item));
        else
          CHECK(made[work.take()] == item);
      }
    }
    work.start(1, 20);  // ends with errors that nobody took
  }
}

TEST_CASE("work ahead: impossible numbers") {
  const auto nothing = [](std::int64_t, std::size_t) {};
  CHECK_THROWS_AS(WorkAhead(-1, 1, nothing), UsageError);
  CHECK_THROWS_AS(WorkAhead(1025, 1, nothing), UsageError);
  CHECK_THROWS_AS(WorkAhead(1, 0, nothing), Error);
  WorkAhead work(1, 1, nothing);
  CHECK_THROWS_AS(work.start(3, 2), Error);
  CHECK_THROWS_AS(work.take(), Error);
}

TEST_CASE("prefetch: the loader's batches, whatever the workers and the threads") {
  const Dataset set = speckled(203);
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    for (const std::int64_t workers : {0, 1, 2, 5})
      for (const bool augment : {false, true}) {
        INFO(fmt::format("{} threads, {} workers", threads, workers));
        LoaderOptions options = augmented(16);
        if (!augment) options.augmentation = {};
        Loader loader(set, options), expected(set, options);
        Prefetcher batches(loader, workers);
        for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
          expected.start_epoch(epoch);
          batches.start_epoch(epoch);
          for (std::int64_t i = 0; i < expected.batches(); ++i) {
            const Batch& batch = batches.next();
            CHECK(batch.placement.defined() == augment);
            if (augment)
              CHECK(same_batch(batch, expected.batch(i)));
            else
              CHECK(same_bits(batch.images, expected.batch(i).images));
          }
          CHECK(error_of([&] { batches.next(); }) ==
                "[Prefetcher] expected fewer calls of next(): no batch is left");
        }
      }
  }
}

TEST_CASE("batch feed: the loader's batches, and which of them is an epoch's short last one") {
  const Dataset set = speckled(203);
  Loader loader(set, augmented(16)), expected(set, augmented(16));
  BatchFeed feed(loader, 2);
  CHECK_THROWS_AS(feed.advance(), Error);  // no epoch has begun
  CHECK_THROWS_AS(feed.start_epoch(0, expected.batches() + 1), Error);
  for (const std::int64_t epoch : {0, 3}) {
    const std::int64_t begin = epoch == 3 ? 5 : 0;
    expected.start_epoch(epoch);
    feed.start_epoch(epoch, begin);
    for (std::int64_t i = begin; i < expected.batches(); ++i) {
      feed.advance();
      CHECK(feed.is_whole() == (i + 1 < expected.batches()));
      CHECK(same_batch(feed.batch(), expected.batch(i)));
      CHECK(same_batch(feed.batch(), expected.batch(i)));  // as often as wanted
    }
    CHECK_THROWS_AS(feed.advance(), Error);
  }
}

TEST_CASE("prefetch: from the middle of an epoch, as a resumed run") {
  const Dataset set = speckled(100);
  Loader loader(set, augmented(16)), expected(set, augmented(16));
  Prefetcher batches(loader, 2);
  CHECK_THROWS_AS(batches.next(), Error);  // no epoch has begun
  expected.start_epoch(4);
  batches.start_epoch(2, 1);
  batches.next();
  batches.start_epoch(4, 5);  // drops what was prepared
  CHECK(same_batch(batches.next(), expected.batch(5)));
  CHECK(batches.next().labels.size(0) == 4);
  batches.start_epoch(4, 7);
  CHECK_THROWS_AS(batches.next(), Error);
  CHECK_THROWS_AS(batches.start_epoch(4, 8), Error);
}

TEST_CASE("prefetch: the same results while the pool is busy with steps") {
  const Threads scope(3);
  const Dataset set = speckled(400);
  Loader loader(set, augmented(64)), expected(set, augmented(64));
  Prefetcher batches(loader, 2);
  const Tensor a = Tensor::full({200, 300}, 0.5), b = Tensor::full({300, 100}, 0.25);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    batches.start_epoch(epoch);
    expected.start_epoch(epoch);
    for (std::int64_t i = 0; i < loader.batches(); ++i) {
      const Batch& batch = batches.next();
      const double total = sum(matmul(a, b)).item() + sum(batch.images).item();
      const Tensor images = expected.batch(i).images;
      CHECK(total == sum(matmul(a, b)).item() + sum(images).item());
    }
  }
}

TEST_CASE("prefetch: an epoch takes no memory") {
  const Dataset set = speckled(150);
  for (const std::int64_t workers : {0, 1, 3}) {
    Loader loader(set, augmented(32));  // the last batch has 22 images
    Prefetcher batches(loader, workers);
    const AllocatorStatistics before = allocator_statistics({});
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
      batches.start_epoch(epoch);
      for (std::int64_t i = 0; i < loader.batches(); ++i) batches.next();
      const AllocatorStatistics after = allocator_statistics({});
      CHECK(after.bytes_in_use == before.bytes_in_use);
      CHECK(after.device_allocations == before.device_allocations);
    }
  }
}

TEST_CASE("prefetch: gone at any point, with batches still being prepared") {
  const Dataset set = speckled(200);
  const std::int64_t before = allocator_statistics({}).bytes_in_use;
  for (const std::int64_t workers : {0, 1, 3})
    for (int taken = 0; taken < 10; ++taken) {
      Loader loader(set, augmented(8));
      Prefetcher batches(loader, workers);
      if (taken > 0) batches.start_epoch(0);
      for (int i = 1; i < taken; ++i) batches.next();
    }
  CHECK(allocator_statistics({}).bytes_in_use == before);
}

TEST_CASE("prefetch: a tensor that is kept sees that it was filled again") {
  const Dataset set = speckled(64);
  Loader loader(set, {.batch_size = 8});
  Prefetcher batches(loader, 1);
  batches.start_epoch(0);
  const Tensor kept = batches.next().images;
  const std::uint32_t version = kept.version();
  while (batches.next().images.view().data != kept.view().data) {
  }
  CHECK(kept.version() != version);  // so that autograd refuses a gradient through the old values
}

TEST_SUITE_END();
