// Random crops and flips: what is drawn, and what becomes of a batch.
#include "datasets/augment.h"

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <vector>

#include "datasets/loader.h"
#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

using Placements = std::vector<std::int32_t>;

Placements draw(const Augmentation& augmentation, std::size_t count, std::int64_t first = 0,
                std::int64_t epoch = 0, std::uint64_t seed = 1) {
  Placements placements(3 * count);
  draw_placements(augmentation, seed, epoch, first, placements);
  return placements;
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("augment: the draws are fixed ones") {
  // From a Philox in Python. A change here means that old runs cannot be resumed or repeated.
  CHECK(draw({.padding = 4, .flip = true}, 4) == Placements{4, 4, 0, 1, 1, 0, 2, -2, 1, 0, 2, 1});
  CHECK(draw({.padding = 4, .flip = true}, 2, 7, 3, 12) == Placements{-2, -3, 0, 4, -4, 1});
}

TEST_CASE("augment: every offset equally often, half of the images flipped") {
  constexpr std::size_t count = 90000;
  const Placements p = draw({.padding = 4, .flip = true}, count);
  std::map<std::array<std::int32_t, 2>, int> offsets;
  int flipped = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ++offsets[{p[3 * i], p[3 * i + 1]}];
    flipped += p[3 * i + 2];
    CHECK((p[3 * i + 2] == 0 || p[3 * i + 2] == 1));
  }
  CHECK(offsets.size() == 81);
  CHECK(offsets.begin()->first == std::array<std::int32_t, 2>{-4, -4});
  CHECK(offsets.rbegin()->first == std::array<std::int32_t, 2>{4, 4});
  // 1111 expected of each, with a deviation of 33.
  for (const auto& [offset, times] : offsets) {
    CHECK(times >= 1111 - 170);
    CHECK(times <= 1111 + 170);
  }
  CHECK(std::abs(flipped - 45000) <= 750);  // five deviations
}

TEST_CASE("augment: a draw depends on seed, epoch and position alone") {
  const Augmentation all{.padding = 2, .flip = true};
  const Placements whole = draw(all, 100);
  for (const std::int64_t first : {0, 1, 37, 99})
    CHECK(draw(all, static_cast<std::size_t>(100 - first), first) ==
          Placements(whole.begin() + 3 * first, whole.end()));
  CHECK(draw(all, 100, 0, 1) != whole);
  CHECK(draw(all, 100, 0, 0, 2) != whole);
  // Epochs do not run into each other.
  CHECK(draw(all, 100, 0, 1) != draw(all, 100, 1, 0));
}

TEST_CASE("augment: parts of it, and none") {
  const Placements crops = draw({.padding = 3}, 50), flips = draw({.flip = true}, 50);
  const Placements both = draw({.padding = 3, .flip = true}, 50);
  for (std::size_t i = 0; i < 50; ++i) {
    CHECK(crops[3 * i] == both[3 * i]);
    CHECK(crops[3 * i + 1] == both[3 * i + 1]);
    CHECK(crops[3 * i + 2] == 0);
    CHECK(flips[3 * i] == 0);
    CHECK(flips[3 * i + 1] == 0);
    CHECK(flips[3 * i + 2] == both[3 * i + 2]);
  }
  CHECK(draw({}, 50) == Placements(150, 0));
  CHECK_FALSE(Augmentation{}.any());
  CHECK(Augmentation{.flip = true}.any());
  CHECK(error_of([] { draw({.padding = -1}, 1); }) ==
        "augmentation: expected a padding from 0 to 32768, found -1");
}

TEST_CASE("augment: what is usual") {
  const Augmentation cifar = usual_augmentation("cifar-10");
  CHECK(cifar.padding == 4);
  CHECK(cifar.flip);
  for (const char* name : {"mnist", "fashion-mnist", "cifar-10-grey28", "image-folder"})
    CHECK_FALSE(usual_augmentation(name).any());
  CHECK(crop_and_flip(64, 96).padding == 8);
  CHECK(crop_and_flip(5, 3).padding == 1);
}

TEST_CASE("augment: a batch is moved and flipped as drawn, black outside") {
  // Pixels of 8x10 that all differ: 1 + their position.
  constexpr std::int64_t H = 8, W = 10;
  Bytes pixels;
  for (int p = 1; p <= H * W; ++p) pixels.push_back(static_cast<std::uint8_t>(p));
  for (int p = 1; p <= H * W; ++p) pixels.push_back(static_cast<std::uint8_t>(100 + p));
  Dataset set;
  set.name = "numbered";
  set.images = Tensor::from(pixels, {2, H, W, 1});
  set.labels = Tensor::from(std::vector<std::int64_t>{0, 1}, {2});
  set.normalization = {{0.5f}, {0.25f}};
  Loader loader(set, {.batch_size = 2, .seed = 5, .augmentation = {.padding = 3, .flip = true}});
  bool flipped = false, moved = false;
  for (std::int64_t epoch = 0; epoch < 6; ++epoch) {
    loader.start_epoch(epoch);
    const Batch batch = loader.batch(0);
    const auto placement = batch.placement.to_vector<std::int32_t>();
    CHECK(placement == draw({.padding = 3, .flip = true}, 2, 0, epoch, 5));
    const auto index = batch.index.to_vector<std::int64_t>();
    const auto values = batch.images.to_vector<float>();
    double worst = 0;
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t y = 0; y < H; ++y)
        for (std::int64_t x = 0; x < W; ++x) {
          const std::int32_t* place = placement.data() + 3 * b;
          const std::int64_t from_y = y + place[0], from_x = (place[2] ? W - 1 - x : x) + place[1];
          const bool inside = from_y >= 0 && from_y < H && from_x >= 0 && from_x < W;
          const auto from = static_cast<std::size_t>(index[static_cast<std::size_t>(b)] * H * W +
                                                     from_y * W + from_x);
          const double byte = inside ? pixels[from] : 0;
          const double want = (byte / 255 - 0.5) / 0.25;
          const double error =
              std::abs(values[static_cast<std::size_t>((b * H + y) * W + x)] - want);
          if (!(error <= worst)) worst = error;
          flipped = flipped || place[2] != 0;
          moved = moved || place[0] != 0 || place[1] != 0;
        }
    CHECK(worst <= 1e-6);
  }
  CHECK(flipped);
  CHECK(moved);
}

TEST_SUITE_END();
