// Splits and batches: each a pure function of (seed, epoch, batch).
#include "datasets/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

using Index = std::vector<std::int64_t>;

// `count` images of 2×2×3 whose first byte is their position; label: position mod 7.
Dataset numbered(std::int64_t count) {
  Bytes pixels;
  Index labels;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t p = 0; p < 12; ++p) pixels.push_back(static_cast<std::uint8_t>(i + 20 * p));
    labels.push_back(i % 7);
  }
  Dataset set;
  set.name = "numbered";
  set.images = Tensor::from(pixels, {count, 2, 2, 3});
  set.labels = Tensor::from(labels, {count});
  set.classes = 7;
  set.normalization = {{0.5f, 0.25f, 0.0f}, {0.5f, 2.0f, 1.0f}};
  return set;
}

Index positions(const Batch& batch) { return batch.index.to_vector<std::int64_t>(); }

// All positions of the current epoch, in order.
Index epoch_of(const Loader& loader) {
  Index all;
  for (std::int64_t i = 0; i < loader.batches(); ++i) {
    const Index part = positions(loader.batch(i));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Index range(std::int64_t count) {
  Index all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  return all;
}

Index sorted(Index index) {
  std::sort(index.begin(), index.end());
  return index;
}

std::string loader_error(const Dataset& set, const LoaderOptions& options,
                         const Index& index = {}) {
  CHECK_THROWS_AS(Loader(set, options, index), UsageError);
  return error_of([&] { Loader(set, options, index); });
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("loader: pixels are normalised per channel, labels and positions come along") {
  const Dataset set = numbered(10);
  const Loader loader(set, {.batch_size = 4, .seed = 3});
  const Batch batch = loader.batch(1);
  CHECK(batch.images.shape() == Shape{4, 2, 2, 3});
  CHECK(batch.images.dtype() == DType::f32);
  CHECK(batch.labels.shape() == Shape{4});
  const Index index = positions(batch);
  const auto pixels = batch.images.to_vector<float>();
  const auto labels = batch.labels.to_vector<std::int64_t>();
  for (std::size_t b = 0; b < 4; ++b) {
    CHECK(labels[b] == index[b] % 7);
    for (std::size_t p = 0; p < 12; ++p) {
      const double byte = static_cast<double>((index[b] + 20 * static_cast<std::int64_t>(p)) % 256);
      const double want = (byte / 255 - set.normalization.mean[p % 3]) /
                          static_cast<double>(set.normalization.std[p % 3]);
      CHECK(std::abs(pixels[12 * b + p] - want) <= 1e-6);
    }
  }
}

TEST_CASE("loader: without shuffling, the images in their order") {
  const Dataset set = numbered(10);
  Loader loader(set, {.batch_size = 4, .shuffle = false});
  CHECK(loader.batches() == 3);
  CHECK(positions(loader.batch(2)) == Index{8, 9});
  loader.start_epoch(5);
  CHECK(epoch_of(loader) == range(10));
  const Loader part(set, {.batch_size = 2, .shuffle = false}, {9, 1, 4});
  CHECK(epoch_of(part) == Index{9, 1, 4});
}

TEST_CASE("loader: every image once an epoch, another order each epoch and seed") {
  const Dataset set = numbered(100);
  Loader a(set, {.batch_size = 16, .seed = 1}), b(set, {.batch_size = 16, .seed = 2});
  const Index first = epoch_of(a);
  CHECK(sorted(first) == range(100));
  CHECK(first != range(100));
  CHECK(first != epoch_of(b));
  a.start_epoch(1);
  CHECK(a.epoch() == 1);
  CHECK(sorted(epoch_of(a)) == range(100));
  CHECK(epoch_of(a) != first);
}

TEST_CASE("loader: a batch depends on seed, epoch and number alone") {
  const Dataset set = numbered(100);
  const LoaderOptions options{.batch_size = 16, .seed = 9};
  Loader through(set, options);
  for (int epoch = 0; epoch < 4; ++epoch) {
    through.start_epoch(epoch);
    for (std::int64_t i = 0; i < through.batches(); ++i) through.batch(i);
  }
  // A second loader goes straight there, as a resumed run does; asking backwards changes nothing.
  Loader straight(set, options);
  straight.start_epoch(3);
  for (std::int64_t i = straight.batches() - 1; i >= 0; --i)
    CHECK(positions(straight.batch(i)) == positions(through.batch(i)));
  CHECK(straight.batch(2).images.to_vector<float>() == through.batch(2).images.to_vector<float>());
  straight.start_epoch(0);
  CHECK(epoch_of(straight) == epoch_of(Loader(set, options)));
  // The order is that of the images, whatever the batches are cut into.
  CHECK(epoch_of(straight) == epoch_of(Loader(set, {.batch_size = 7, .seed = 9})));
}

TEST_CASE("loader: the shuffle is a fixed one") {
  // Stored: a change here means that old runs cannot be resumed or repeated.
  const Dataset set = numbered(8);
  Loader loader(set, {.batch_size = 8, .seed = 1});
  CHECK(epoch_of(loader) == Index{5, 2, 0, 4, 1, 7, 6, 3});
  loader.start_epoch(1);
  CHECK(epoch_of(loader) == Index{4, 6, 1, 5, 0, 7, 2, 3});
}

TEST_CASE("loader: the short last batch") {
  const Dataset set = numbered(10);
  const Loader keep(set, {.batch_size = 4});
  CHECK(keep.batches() == 3);
  CHECK(keep.batch(2).images.size(0) == 2);
  const Loader drop(set, {.batch_size = 4, .drop_last = true});
  CHECK(drop.batches() == 2);
  CHECK(drop.batch(1).images.size(0) == 4);
  const Loader exact(set, {.batch_size = 5, .drop_last = true});
  CHECK(exact.batches() == 2);
  CHECK(error_of([&] { drop.batch(2); }) == "[Loader] expected a batch from 0 to 1, found 2");
}

TEST_CASE("loader: groups of k are whole, and fresh in each epoch") {
  const Dataset set = numbered(23);
  const Loader consecutive(set, {.batch_size = 10, .shuffle = false, .group = 5});
  CHECK(consecutive.batches() == 2);
  CHECK(epoch_of(consecutive) == range(20));  // 20, 21, 22 fill no group
  Loader shuffled(set, {.batch_size = 10, .group = 5, .seed = 4});
  std::set<Index> groups;
  std::set<std::int64_t> seen;
  for (int epoch = 0; epoch < 20; ++epoch) {
    shuffled.start_epoch(epoch);
    const Index order = epoch_of(shuffled);
    REQUIRE(order.size() == 20);
    CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 20);
    seen.insert(order.begin(), order.end());
    for (std::size_t g = 0; g < 20; g += 5)
      groups.insert(sorted(
          Index(order.begin() + static_cast<long>(g), order.begin() + static_cast<long>(g) + 5)));
  }
  CHECK(groups.size() > 70);  // of 80 drawn from 33,649 possible ones
  CHECK(seen.size() == 23);   // the leftover differs from epoch to epoch
}

TEST_CASE("loader: impossible options") {
  const Dataset set = numbered(10);
  CHECK(loader_error(set, {.batch_size = 0}) ==
        "loader: expected a batch size that is a positive multiple of the group size 1, found 0");
  CHECK(loader_error(set, {.batch_size = 5, .group = 2}) ==
        "loader: expected a batch size that is a positive multiple of the group size 2, found 5");
  CHECK(loader_error(set, {.batch_size = 4, .group = 0}) ==
        "loader: expected groups of 1 image or more, found 0");
  CHECK(loader_error(set, {.batch_size = 64, .drop_last = true}) ==
        "loader: 10 images of numbered leave no whole batch of 64");
  CHECK(loader_error(set, {.batch_size = 12, .group = 12}) ==
        "loader: 10 images of numbered leave no group of 12");
  CHECK(loader_error(set, {.batch_size = 4}, {3, 10}) ==
        "loader: expected positions 0 to 9 of numbered, found 10");
}

TEST_CASE("split: disjoint, complete, and the same for the same seed") {
  const Split split = split_indices(1000, 100, 7);
  CHECK(split.validation.size() == 100);
  CHECK(split.train.size() == 900);
  CHECK(std::is_sorted(split.train.begin(), split.train.end()));
  CHECK(std::is_sorted(split.validation.begin(), split.validation.end()));
  Index all = split.train;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  CHECK(sorted(all) == range(1000));
  CHECK(split_indices(1000, 100, 7).validation == split.validation);
  CHECK(split_indices(1000, 100, 8).validation != split.validation);
  // Drawn from everywhere, not cut off an end.
  CHECK(split.validation.front() < 100);
  CHECK(split.validation.back() >= 900);
}

TEST_CASE("split: rounded up to whole groups") {
  CHECK(split_indices(100, 11, 1, 5).validation.size() == 15);
  CHECK(split_indices(100, 10, 1, 5).validation.size() == 10);
  CHECK(split_indices(100, 0, 1, 5).validation.empty());
  CHECK(split_indices(100, 0, 1, 5).train == range(100));
  CHECK(split_indices(100, 100, 1).train.empty());
  CHECK_THROWS_AS(split_indices(9, 9, 1, 5), UsageError);
  CHECK_THROWS_AS(split_indices(9, 10, 1), UsageError);
  CHECK_THROWS_AS(split_indices(9, -1, 1), UsageError);
  CHECK_THROWS_AS(split_indices(9, 3, 1, 0), UsageError);
  CHECK(error_of([] { split_indices(9, 9, 1, 5); }) ==
        "split: 9 validation images in groups of 5 make 10, but there are only 9");
}

TEST_SUITE_END();
