// TIES against the formula, in loops over one list of numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "coding/merging/ties.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
#include "models/registry.h"
#include "tests/coding_tensors.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;
using understudy::testing::random;

namespace {

std::unique_ptr<Model> network(const std::string& description, std::uint64_t seed) {
  Generator generator(seed);
  std::unique_ptr<Model> model = make_model(description, generator);
  model->to(DType::f64);
  return model;
}

// All parameters, one after the other.
std::vector<double> flat(Module& model) {
  std::vector<double> values;
  for (const Tensor& parameter : model.parameters()) {
    const auto own = cast(parameter.detach(), DType::f64).to_vector<double>();
    values.insert(values.end(), own.begin(), own.end());
  }
  return values;
}

void set_flat(Module& model, const std::vector<double>& values) {
  std::size_t at = 0;
  for (const Tensor& parameter : model.parameters()) {
    const auto count = static_cast<std::size_t>(parameter.count());
    const std::vector<double> own(values.begin() + static_cast<std::ptrdiff_t>(at),
                                  values.begin() + static_cast<std::ptrdiff_t>(at + count));
    parameter.detach().copy_(Tensor::from(own, parameter.shape()));
    at += count;
  }
  REQUIRE(at == values.size());
}

// The paper's three steps, by sorting.
std::vector<double> reference(const std::vector<std::vector<double>>& models,
                              const std::vector<double>& weights, const std::vector<double>& start,
                              double density, double lambda) {
  std::vector<std::vector<double>> kept;
  for (const std::vector<double>& theta : models) {
    std::vector<std::size_t> order(start.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(theta[a] - start[a]) > std::abs(theta[b] - start[b]);
    });
    kept.emplace_back(start.size(), 0);
    const auto count =
        static_cast<std::size_t>(std::round(density * static_cast<double>(start.size())));
    for (std::size_t r = 0; r < std::max<std::size_t>(count, 1); ++r)
      kept.back()[order[r]] = theta[order[r]] - start[order[r]];
  }
  std::vector<double> merged = start;
  for (std::size_t j = 0; j < start.size(); ++j) {
    double sign = 0, sum = 0, mass = 0;
    for (std::size_t i = 0; i < models.size(); ++i) sign += weights[i] * kept[i][j];
    for (std::size_t i = 0; i < models.size(); ++i)
      if (kept[i][j] * sign > 0) {
        sum += weights[i] * kept[i][j];
        mass += weights[i];
      }
    if (mass > 0) merged[j] += lambda * sum / mass;
  }
  return merged;
}

double worst(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0;
  for (std::size_t j = 0; j < a.size(); ++j)
    if (!(std::abs(a[j] - b[j]) <= difference)) difference = std::abs(a[j] - b[j]);
  return difference;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("TIES is its formula, in double") {
    const std::string description = "mlp 6-5-4";
    for (const std::size_t n : {1u, 2u, 4u})
      for (const double density : {1.0, 0.5, 0.2, 0.001})
        for (const double scale : {1.0, 0.4}) {
          CAPTURE(n);
          CAPTURE(density);
          CAPTURE(scale);
          const auto start = network(description, 99), merged = network(description, 98);
          std::vector<std::unique_ptr<Model>> made;
          std::vector<Module*> models;
          std::vector<std::vector<double>> thetas;
          std::vector<double> weights;
          for (std::size_t i = 0; i < n; ++i) {
            made.push_back(network(description, i + 1));
            models.push_back(made.back().get());
            thetas.push_back(flat(*made.back()));
            weights.push_back(static_cast<double>(i + 1) / static_cast<double>(n * (n + 1) / 2));
          }
          const std::vector<double> before = flat(*start);
          ties_merge(models, weights, *start, density, scale, *merged);
          CHECK(worst(flat(*merged), reference(thetas, weights, before, density, scale)) <= 1e-14);
          CHECK(flat(*start) == before);
        }
  }

  TEST_CASE("TIES trims over all parameters together, elects and averages what agrees") {
    // 2 inputs, 2 classes: weight (2, 2), bias (2). Changes written by hand, start 0; half of the
    // six are kept of each.
    Generator generator(1);
    Logistic start(2, 2, generator), a(2, 2, generator), b(2, 2, generator),
        merged(2, 2, generator);
    for (Module* model : {&start, &a, &b, &merged}) model->to(DType::f64);
    set_flat(start, {0, 0, 0, 0, 0, 0});
    set_flat(a, {4, 3, 0.1, -0.2, 0.3, -5});    // 4, 3, -5 stay
    set_flat(b, {-8, 5, 0.1, 0.2, -0.3, 0.4});  // -8, 5 and 0.4
    ties_merge({&a, &b}, {0.5, 0.5}, start, 0.5, 1, merged);
    // -8 outweighs 4, 3 and 5 agree, -5 outweighs 0.4.
    CHECK(worst(flat(merged), {-8, 4, 0, 0, 0, -5}) <= 1e-15);
    ties_merge({&a, &b}, {0.75, 0.25}, start, 0.5, 2, merged);  // 0.75·4 outweighs 0.25·8
    CHECK(worst(flat(merged), {8, 2 * (0.75 * 3 + 0.25 * 5), 0, 0, 0, -10}) <= 1e-15);
    ties_merge({&a, &b}, {1, 0}, start, 0.5, 1, merged);  // no weight, no vote
    CHECK(worst(flat(merged), {4, 3, 0, 0, 0, -5}) <= 1e-15);
  }

  TEST_CASE("TIES keeps the first of equal changes, and nothing where signs cancel") {
    Generator generator(1);
    Logistic start(2, 2, generator), a(2, 2, generator), b(2, 2, generator),
        merged(2, 2, generator);
    for (Module* model : {&start, &a, &b, &merged}) model->to(DType::f64);
    set_flat(start, {0, 0, 0, 0, 0, 0});
    set_flat(a, {1, -2, 1, 1, -1, 1});
    ties_merge({&a}, {1}, start, 0.5, 1, merged);
    CHECK(worst(flat(merged), {1, -2, 1, 0, 0, 0}) <= 0);
    set_flat(b, {1, 2, 1, 1, 1, -1});
    ties_merge({&a, &b}, {0.5, 0.5}, start, 1, 1, merged);
    CHECK(worst(flat(merged), {1, 0, 1, 1, 0, 0}) <= 0);
    set_flat(a, {0, 0, 0, 0, 0, 0});  // a model that did not move
    ties_merge({&a}, {1}, start, 0.2, 1, merged);
    CHECK(worst(flat(merged), {0, 0, 0, 0, 0, 0}) <= 0);
  }

  TEST_CASE("TIES of equal models is the model, in float") {
    Generator generator(3);
    const std::string description = "resnet18 3-4-6-10";
    const auto start = make_model(description, generator),
               model = make_model(description, generator),
               merged = make_model(description, generator);
    for (NamedTensor& named : model->named_buffers())
      if (is_floating(named.tensor.dtype()))
        named.tensor.copy_(shift(random(named.tensor.shape(), 5), 2));
      else
        named.tensor.fill_(7);
    ties_merge({model.get(), model.get(), model.get()}, {0.25, 0.25, 0.5}, *start, 1, 1, *merged);
    CHECK(worst(flat(*merged), flat(*model)) <= 1e-7);
    const auto wanted = model->named_buffers(), found = merged->named_buffers();
    for (std::size_t t = 0; t < wanted.size(); ++t) {
      CAPTURE(wanted[t].name);
      CHECK(testing::largest_difference(found[t].tensor, wanted[t].tensor) <= 1e-6);
    }
  }

  TEST_CASE("TIES averages buffers by their weights") {
    const std::string description = "resnet18 3-4-6-10";
    const auto start = network(description, 1), a = network(description, 2),
               b = network(description, 3), merged = network(description, 4);
    const auto fill = [](Model& model, double value) {
      for (NamedTensor& named : model.named_buffers()) named.tensor.fill_(value);
    };
    fill(*a, 2);
    fill(*b, 6);
    ties_merge({a.get(), b.get()}, {0.75, 0.25}, *start, 0.2, 1, *merged);
    for (const NamedTensor& named : merged->named_buffers()) {
      CAPTURE(named.name);
      const double wanted = is_floating(named.tensor.dtype()) ? 3 : 2;
      const auto values = cast(named.tensor, DType::f64).to_vector<double>();
      for (const double value : values) CHECK(std::abs(value - wanted) <= 1e-12);
    }
  }

  TEST_CASE("TIES says what it cannot work with") {
    const auto start = network("mlp 6-5-4", 1), a = network("mlp 6-5-4", 2),
               merged = network("mlp 6-5-4", 4), wide = network("mlp 6-7-4", 3);
    for (const double density : {0.0, -0.1, 1.1, std::nan("")}) {
      CAPTURE(density);
      CHECK_THROWS_AS(ties_merge({a.get()}, {1}, *start, density, 1, *merged), UsageError);
    }
    CHECK_THROWS_AS(ties_merge({a.get()}, {1}, *start, 0.2, std::nan(""), *merged), UsageError);
    CHECK_THROWS_AS(ties_merge({a.get()}, {0.5, 0.5}, *start, 0.2, 1, *merged), Error);
    CHECK_THROWS_AS(ties_merge({a.get()}, {-1}, *start, 0.2, 1, *merged), Error);
    CHECK_THROWS_AS(ties_merge({}, {}, *start, 0.2, 1, *merged), Error);
    const std::string text =
        error_text([&] { ties_merge({wide.get()}, {1}, *start, 0.2, 1, *merged); });
    CHECK(text.find("\"0.weight\" is (5,6) in") != std::string::npos);
    CHECK(text.find("model 1") != std::string::npos);
    std::vector<double> theta = flat(*a);
    theta[31] = std::nan("");  // of the bias after 30 weights
    set_flat(*a, theta);
    CHECK(error_text([&] {
            ties_merge({a.get()}, {1}, *start, 0.2, 1, *merged);
          }).find("\"0.bias\" of model 1") != std::string::npos);
  }
}
