#include "engine/random.h"

#include <numeric>
#include <utility>

#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Blocks behind the elements of a fill, as Backend::uniform and Backend::normal draw them.
std::uint64_t blocks_of(const char* op, const Tensor& x) {
  check(is_floating(x.dtype()), "[{}] float32 or float64 expected, found {}", op,
        to_string(x.dtype()));
  check(x.is_contiguous(), "[{}] the tensor of shape {} is strided", op, to_string(x.shape()));
  const std::uint64_t per_block = x.dtype() == DType::f32 ? 4 : 2;
  return (static_cast<std::uint64_t>(x.count()) + per_block - 1) / per_block;
}

}  // namespace

std::uint64_t Generator::take(std::uint64_t blocks) {
  return std::exchange(position_, position_ + blocks);
}

std::uint64_t Generator::below(std::uint64_t bound) {
  check(bound >= 1, "[below] no number is below 0");
  // Words under this threshold, 2^64 mod bound, would make small results likelier: draw again.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const PhiloxBlock block = philox(key_, take(1));
    for (int half = 0; half < 2; ++half) {
      const std::uint64_t word =
          std::uint64_t{block.word[2 * half]} << 32 | block.word[2 * half + 1];
      if (word >= threshold) return word % bound;
    }
  }
}

double Generator::uniform() {
  const PhiloxBlock block = philox(key_, take(1));
  return unit_double(block.word[0], block.word[1]);
}

std::vector<std::int64_t> Generator::permutation(std::int64_t count) {
  check(count >= 0, "[permutation] {} is not a number of things", count);
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i)]);
  return order;
}

void fill_uniform(Tensor& x, Generator& generator, double low, double high) {
  check(low <= high, "[fill_uniform] low {} is above high {}", low, high);
  const std::uint64_t first = generator.take(blocks_of("fill_uniform", x));
  backend(x.device()).uniform(x.mutable_view(), generator.key(), first, low, high);
}

void fill_normal(Tensor& x, Generator& generator, double mean, double std) {
  check(std >= 0, "[fill_normal] the standard deviation {} is negative", std);
  const std::uint64_t first = generator.take(blocks_of("fill_normal", x));
  backend(x.device()).normal(x.mutable_view(), generator.key(), first, mean, std);
}

}  // namespace understudy
