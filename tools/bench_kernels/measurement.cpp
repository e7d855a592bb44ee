#include "tools/bench_kernels/measurement.h"

#include <algorithm>
#include <cmath>

#include "engine/random.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy::bench {

Tensor random(const Shape& shape, std::uint64_t seed, Device device) {
  Tensor x = Tensor::empty(shape, DType::f32, device);
  Generator generator(seed);
  fill_uniform(x, generator, -1, 1);
  return x;
}

void check_sample(const Tensor& result, double bound,
                  const std::function<double(std::int64_t)>& expected) {
  const std::vector<float> values = result.to_vector<float>();
  const auto count = static_cast<std::int64_t>(values.size());
  // Odd steps meet every row of matrices with an even number of columns.
  const std::int64_t step = std::max<std::int64_t>(1, count / 500) | 1;
  double squares = 0, worst = -1, found = 0, wanted = 0;
  std::int64_t looked_at = 0, worst_at = 0;
  for (std::int64_t i = 0; i < count; i += step, ++looked_at) {
    const double want = expected(i), got = static_cast<double>(values[static_cast<std::size_t>(i)]);
    squares += want * want;
    const double error = std::abs(got - want);
    if (!(error <= worst)) worst = error, worst_at = i, found = got, wanted = want;
    if (std::isnan(error)) break;
  }
  const double rms = std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(1, looked_at)));
  check(worst <= bound * rms,
        "element {} of {} is {}, expected {}: {:.2e} of the rms {:.3g} apart, {:.1e} allowed",
        worst_at, to_string(result.shape()), found, wanted, worst / rms, rms, bound);
}

double bound_of_products(double fp32, Device device, int layers) {
  // Both factors are off by half a unit in their last place at the most: eight standard deviations
  // of such a sum.
  const double deep = 8 * std::sqrt(2.0 / 3 * layers);
  switch (backend(device).numerics().precision) {
    case Precision::fp32:
      break;
    case Precision::tf32:
      return std::max(fp32, deep * 0x1p-11);
    case Precision::bf16:
      return std::max(fp32, deep * 0x1p-8);
  }
  return fp32;
}

}  // namespace understudy::bench
