// Cases of batch norm.
#include <cmath>

#include "engine/ops.h"
#include "kernels/format.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {
namespace {

using Inputs = std::span<const Tensor>;
using Arrays = std::span<const Array>;

struct Moments {
  Array mean, variance;
};

Moments moments_of(const Array& x) {
  const Shape channels{x.shape.back()};
  const auto C = static_cast<std::size_t>(x.shape.back());
  const long double n = static_cast<long double>(x.values.size() / C);
  std::vector<long double> mean(C), variance(C);
  for (std::size_t i = 0; i < x.values.size(); ++i) mean[i % C] += x.values[i] / n;
  for (std::size_t i = 0; i < x.values.size(); ++i)
    variance[i % C] += (x.values[i] - mean[i % C]) * (x.values[i] - mean[i % C]) / n;
  return {{channels, {mean.begin(), mean.end()}}, {channels, {variance.begin(), variance.end()}}};
}

constexpr double eps = 1e-3;

// in: x, weight, bias, then mean and variance unless `training`, then the residual if there is one.
Array normalized(Arrays in, bool training, bool residual, bool relu) {
  const Moments m = training ? moments_of(in[0]) : Moments{in[3], in[4]};
  return tabulate(in[0].shape, [&](const Position& at) {
    const Position c{at.back()};
    const double deviation = std::sqrt(element(m.variance, c) + eps);
    double y = element(in[1], c) * ((element(in[0], at) - element(m.mean, c)) / deviation) +
               element(in[2], c);
    if (residual) y += element(in.back(), at);
    return relu && y < 0 ? 0 : y;
  });
}

struct Case {
  Shape shape;
  double low = -2, high = 2;  // of x
  double tolerance = 20;
};

void add_batch_norm(std::vector<OpCase>& cases, const Case& c, int variant) {
  const bool training = variant & 1, residual = variant & 2, relu = variant & 4;
  if (training && c.shape.count() == 0) return;
  Random random(83 + static_cast<std::uint64_t>(variant));
  const Shape channels{c.shape.back()};
  std::vector<Operand> inputs = {random_operand(random, c.shape, c.low, c.high),
                                 random_operand(random, channels),
                                 random_operand(random, channels)};
  if (!training) {
    inputs.push_back(random_operand(random, channels, c.low, c.high));
    inputs.push_back(random_operand(random, channels, 0.1, 3));
    inputs[3].differentiable = inputs[4].differentiable = false;
  }
  if (residual) inputs.push_back(random_operand(random, c.shape));
  cases.push_back({.op = "batch_norm",
                   .note = fmt::format("{}{}{}", training ? "training" : "evaluation",
                                       c.low > 10 ? " far from zero" : "", relu ? " relu" : ""),
                   .inputs = inputs,
                   .apply =
                       [=](Inputs in) {
                         const ChannelStatistics statistics =
                             training ? channel_statistics(in[0]) : ChannelStatistics{in[3], in[4]};
                         return batch_norm(in[0], in[1], in[2], statistics, eps,
                                           residual ? in.back() : Tensor(),
                                           relu ? Activation::relu : Activation::none);
                       },
                   .reference = [=](Arrays in) { return normalized(in, training, residual, relu); },
                   .tolerance = c.tolerance,
                   .large = c.shape.count() > 2000});
}

void add_statistics(std::vector<OpCase>& cases, const Case& c) {
  if (c.shape.count() == 0) return;
  Random random(89);
  cases.push_back({.op = "channel_statistics",
                   .inputs = {random_operand(random, c.shape, c.low, c.high)},
                   .apply =
                       [](Inputs in) {
                         const ChannelStatistics s = channel_statistics(in[0]);
                         return stack({s.mean, s.variance}, 0);
                       },
                   .reference =
                       [](Arrays in) {
                         Moments m = moments_of(in[0]);
                         Array out{{2, m.mean.shape[0]}, m.mean.values};
                         out.values.insert(out.values.end(), m.variance.values.begin(),
                                           m.variance.values.end());
                         return out;
                       },
                   .differentiable = false,
                   .tolerance = 4,
                   .large = c.shape.count() > 2000});
}

}  // namespace

void add_norm_cases(std::vector<OpCase>& cases) {
  // One row: x is its own mean, and only bias and residual are left of it.
  for (const Case& c : {Case{{7, 5}}, Case{{9, 1}}, Case{{1, 4}}, Case{{5}}, Case{{2, 3, 2, 3}},
                        Case{{33, 17}}, Case{{2, 2, 2, 70}}, Case{{0, 3}},
                        Case{{40, 3}, 1000, 1001, 4000}, Case{{4, 13, 11, 33}}, Case{{70000, 1}}}) {
    for (int variant = 0; variant < 8; ++variant) add_batch_norm(cases, c, variant);
    add_statistics(cases, c);
  }
}

}  // namespace understudy::testing
