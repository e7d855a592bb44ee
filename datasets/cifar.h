// CIFAR-10's binary version: records of a label byte and 3×32×32 pixel bytes, a whole red plane, a
// green one, a blue one; five training batches and a test batch of 10,000 records.
// https://www.cs.toronto.edu/~kriz/cifar.html
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "datasets/byte_reader.h"

namespace understudy {

struct CifarImages {
  std::vector<std::uint8_t> pixels;  // (N, 32, 32, 3): converted from planes
  std::vector<std::uint8_t> labels;  // (N), each below 10
};

struct CifarTrainTest {
  CifarImages train;  // batches 1 to 5, in this order
  CifarImages test;
};

// One batch file. Error unless it is 1 to 10,000 whole records with labels below 10.
CifarImages read_cifar_batch(ByteReader& reader);

// `folder` holds data_batch_{1..5}.bin and test_batch.bin, each of them plain or with .gz behind
// its name. Error when one is missing or the training batches differ in length.
CifarTrainTest read_cifar_folder(const std::filesystem::path& folder);

// The same from the publisher's archive (cifar-10-binary.tar.gz) or one with the same files.
CifarTrainTest read_cifar_archive(ByteReader& archive);

// The mean of the three channels of the central 28×28 pixels, rounded to the nearest integer:
// (N, 32, 32, 3) → (N, 28, 28).
std::vector<std::uint8_t> grey28(std::span<const std::uint8_t> pixels);

}  // namespace understudy
