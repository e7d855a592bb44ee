// Other forms of a set's images: tasks that are alike in shape, for codes over several models.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace understudy {

// Each image turned by a quarter, counter-clockwise: (N, side, side, 1) → the same. Another task
// with the same labels. Error when the pixels are no whole images.
std::vector<std::uint8_t> rotated(std::span<const std::uint8_t> pixels, std::size_t side);

// Grey images (N, 28, 28, 1) in the shape of CIFAR-10's, (N, 32, 32, 3): two black pixels around,
// three equal channels. Error likewise.
std::vector<std::uint8_t> rgb32(std::span<const std::uint8_t> pixels);

}  // namespace understudy
