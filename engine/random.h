// Random numbers: one seed for a run, one stream per purpose, the same numbers on every backend.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/tensor.h"
#include "kernels/philox.h"

namespace understudy {

// The streams of a run. A new purpose gets a new number; numbers are never reused.
enum class Stream : std::uint64_t {
  initialization = 1,
  shuffling = 2,
  split = 3,
  grouping = 4,
  augmentation = 5,
  sampling = 6,
  test = 100,
};

// A position in an endless sequence of blocks. Two numbers are its whole state, so a checkpoint can
// put it back.
class Generator {
 public:
  explicit Generator(std::uint64_t seed, Stream stream = Stream::initialization)
      : key_{seed, static_cast<std::uint64_t>(stream)} {}

  PhiloxKey key() const { return key_; }
  std::uint64_t position() const { return position_; }
  void set_position(std::uint64_t position) { position_ = position; }
  // The number of the first of `blocks` fresh blocks.
  std::uint64_t take(std::uint64_t blocks);

  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), unbiased; bound >= 1
  double uniform();                          // [0, 1)
  // 0 .. count-1 in random order (Fisher–Yates).
  std::vector<std::int64_t> permutation(std::int64_t count);

 private:
  PhiloxKey key_;
  std::uint64_t position_ = 0;
};

// In place, for parameters: every element drawn from U[low, high) or N(mean, std²), as defined at
// Backend::uniform and Backend::normal. Error unless `x` is dense float or double, low <= high and
// std >= 0.
void fill_uniform(Tensor& x, Generator& generator, double low, double high);
void fill_normal(Tensor& x, Generator& generator, double mean, double std);

}  // namespace understudy
