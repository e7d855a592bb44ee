#include "datasets/augment.h"

#include <algorithm>

#include "engine/random.h"
#include "kernels/check.h"
#include "kernels/philox.h"

namespace understudy {

Augmentation usual_augmentation(const std::string& dataset) {
  return dataset == "cifar-10" ? crop_and_flip(32, 32) : Augmentation{};
}

Augmentation crop_and_flip(std::int64_t height, std::int64_t width) {
  return {.padding = std::max<std::int64_t>(1, std::min(height, width) / 8), .flip = true};
}

void draw_placements(const Augmentation& augmentation, std::uint64_t seed, std::int64_t epoch,
                     std::int64_t first, std::span<std::int32_t> placements) {
  const std::int64_t p = augmentation.padding;
  check(p >= 0 && p <= 1 << 15, "augmentation: expected a padding from 0 to {}, found {}", 1 << 15,
        p);
  const PhiloxKey key{seed, static_cast<std::uint64_t>(Stream::augmentation)};
  const std::uint64_t start =
      (static_cast<std::uint64_t>(epoch) << 32) + static_cast<std::uint64_t>(first);
  // Without rejection one offset is likelier than another by less than 2⁻¹⁶ of its chance.
  const auto offset = [&](std::uint32_t word) {
    const auto choices = static_cast<std::uint64_t>(2 * p + 1);
    return static_cast<std::int32_t>(static_cast<std::int64_t>(word * choices >> 32) - p);
  };
  for (std::size_t i = 0; 3 * i + 2 < placements.size(); ++i) {
    const PhiloxBlock block = philox(key, start + i);
    placements[3 * i] = offset(block.word[0]);
    placements[3 * i + 1] = offset(block.word[1]);
    placements[3 * i + 2] = augmentation.flip ? static_cast<std::int32_t>(block.word[2] >> 31) : 0;
  }
}

}  // namespace understudy
