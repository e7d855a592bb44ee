// Random crops and flips: where each image of a batch is looked at.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace understudy {

// As torchvision's RandomCrop(size, padding) followed by RandomHorizontalFlip, on images that are
// black outside.
struct Augmentation {
  std::int64_t padding = 0;  // moved by up to so many pixels each way; at most 2^15
  bool flip = false;         // left and right exchanged, for one image in two

  bool any() const { return padding > 0 || flip; }
};

// What is usual for a set of load_dataset: CIFAR-10 in colour is moved by up to 4 pixels and
// flipped, the others are left alone.
Augmentation usual_augmentation(const std::string& dataset);

// Moved by up to an eighth of the shorter side, which is CIFAR-10's 4 pixels of 32, and flipped.
Augmentation crop_and_flip(std::int64_t height, std::int64_t width);

// Where the images at positions first, first + 1, ... of an epoch's order are looked at: (dy, dx,
// flip) of each, as gather_images takes them. The image at position i is drawn from block
// epoch·2³² + i of Philox(seed, Stream::augmentation) and from nothing else:
// dy = ⌊w0 · (2p + 1) / 2³²⌋ - p, dx likewise from w1, flip the highest bit of w2.
void draw_placements(const Augmentation& augmentation, std::uint64_t seed, std::int64_t epoch,
                     std::int64_t first, std::span<std::int32_t> placements);

}  // namespace understudy
