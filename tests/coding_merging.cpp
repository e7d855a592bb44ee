// Codes over models: the merges by formula.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "coding/merging/fisher.h"
#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/nn/sequential.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
#include "models/registry.h"
#include "models/resnet.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

Mlp random_mlp(std::vector<std::int64_t> widths, std::uint64_t seed) {
  Generator generator(seed);
  return Mlp(std::move(widths), generator);
}

std::vector<NamedTensor> constant_fisher(Module& model, double value) {
  std::vector<NamedTensor> fisher = model.named_parameters();
  for (NamedTensor& named : fisher)
    named.tensor = Tensor::full(named.tensor.shape(), value, named.tensor.dtype());
  return fisher;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("plain average and COIN by formula") {
    Mlp a = random_mlp({4, 3, 2}, 1), b = random_mlp({4, 3, 2}, 2),
        merged = random_mlp({4, 3, 2}, 3);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.25, 0.75}};
    merge(problem, "average", merged);
    const auto pa = a.parameters(), pb = b.parameters(), pm = merged.parameters();
    for (std::size_t t = 0; t < pm.size(); ++t)
      CHECK(largest_difference(pm[t].detach(),
                               scale(pa[t].detach(), 0.25) + scale(pb[t].detach(), 0.75)) <= 1e-6);

    // Given Fishers: θ = Σ β F θ / Σ β F.
    problem.fishers = {constant_fisher(a, 3), constant_fisher(b, 0.5)};
    Tensor fa = problem.fishers[0][0].tensor, fb = problem.fishers[1][0].tensor;
    fa.mutable_data<float>()[2] = 0;  // only b knows this one
    fa.mutable_data<float>()[5] = 0;  // nobody knows these two: the average
    fb.mutable_data<float>()[5] = 0;
    fa.mutable_data<float>()[7] = 1e-9f;
    fb.mutable_data<float>()[7] = 1e-9f;
    merge(problem, "coin", merged);
    const auto wa = pa[0].to_vector<float>(), wb = pb[0].to_vector<float>();
    const auto wm = merged.parameters()[0].to_vector<float>();
    for (std::size_t j = 0; j < wm.size(); ++j) {
      CAPTURE(j);
      double want = (0.25 * 3 * wa[j] + 0.75 * 0.5 * wb[j]) / (0.25 * 3 + 0.75 * 0.5);
      if (j == 2) want = wb[j];
      if (j == 5 || j == 7) want = 0.25 * wa[j] + 0.75 * wb[j];
      CHECK(std::abs(wm[j] - want) <= 1e-6);
    }
    problem.damping = 1e6;  // drowns the Fishers: the average again
    merge(problem, "coin", merged);
    CHECK(largest_difference(merged.parameters()[0],
                             scale(pa[0].detach(), 0.25) + scale(pb[0].detach(), 0.75)) <= 1e-5);
    problem.damping = 0;
    problem.fishers[1][0].tensor = Tensor::zeros({1});
    CHECK_THROWS_AS(merge(problem, "coin", merged), Error);
    for (auto& fisher : problem.fishers) fisher = constant_fisher(a, 0);  // nothing known anywhere
    merge(problem, "coin", merged);
    CHECK(largest_difference(merged.parameters()[0],
                             scale(pa[0].detach(), 0.25) + scale(pb[0].detach(), 0.75)) <= 1e-6);
  }

  TEST_CASE("COIN on points uses each task's own, or all") {
    Mlp a = random_mlp({4, 3, 2}, 1), b = random_mlp({4, 3, 2}, 2),
        merged = random_mlp({4, 3, 2}, 3);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}};
    problem.points = {random({30, 4}, 5), scale(random({30, 4}, 6), 3)};
    merge(problem, "coin", merged);
    const auto own = merged.parameters()[0].to_vector<float>();
    MergeProblem given = problem;
    given.fishers = {diagonal_fisher(a, problem.points[0]), diagonal_fisher(b, problem.points[1])};
    merge(given, "coin", merged);
    CHECK(merged.parameters()[0].to_vector<float>() == own);
    problem.pooled = true;
    merge(problem, "coin", merged);
    CHECK(merged.parameters()[0].to_vector<float>() != own);
    const Tensor all = concat(problem.points, 0);
    given.fishers = {diagonal_fisher(a, all), diagonal_fisher(b, all)};
    const auto pooled = merged.parameters()[0].to_vector<float>();
    merge(given, "coin", merged);
    CHECK(merged.parameters()[0].to_vector<float>() == pooled);
  }

  TEST_CASE("a merge of models that differ names the tensors") {
    Mlp a = random_mlp({4, 3, 2}, 1), wide = random_mlp({4, 5, 2}, 1),
        deep = random_mlp({4, 3, 3, 2}, 1);
    CHECK_THROWS_WITH_AS(check_same_architecture({&a, &wide}, {"one", "two"}),
                         doctest::Contains("\"0.weight\" is (3,4) in one and (5,4) in two"), Error);
    CHECK_THROWS_WITH_AS(check_same_architecture({&a, &deep}, {"one", "two"}),
                         doctest::Contains("\"4.weight\" is only in two"), Error);
    CHECK_THROWS_AS(check_same_architecture({&a}), Error);
    Mlp b = random_mlp({4, 3, 2}, 2), merged = random_mlp({4, 3, 2}, 3);
    CHECK_THROWS_AS(merge({.models = {&a, &b}, .weights = {0.5, 0.4}}, "average", merged), Error);
    CHECK_THROWS_AS(merge({.models = {&a, &b}, .weights = {0.5, 0.5}}, "coin", merged), Error);
    CHECK_THROWS_AS(merge({.models = {&a, &b}, .weights = {0.5, 0.5}}, "coin+magic", merged),
                    UsageError);
    for (const char* empty : {"", "coin+", "+coin", "coin++refit"})
      CHECK_THROWS_WITH_AS(check_recipe(empty), doctest::Contains("empty"), UsageError);
    CHECK_THROWS_WITH_AS(check_recipe("coin+refit+refit"),
                         doctest::Contains("refit is there twice"), UsageError);
    for (const char* undoing : {"refit+coin", "refit+average", "average+coin"})
      CHECK_THROWS_WITH_AS(check_recipe(undoing), doctest::Contains("would undo"), UsageError);
    check_recipe("coin+refit");
    check_recipe("average+refit");
    check_recipe("coin+refit", *make_model("mlp 4-3-2"));
    check_recipe("coin+refit", *make_model("logistic 4-2"));
    CHECK(normalized_weights({}, 4) == std::vector<double>{0.25, 0.25, 0.25, 0.25});
    CHECK(normalized_weights({1, 3}, 2) == std::vector<double>{0.25, 0.75});
    CHECK(normalized_weights({1, 0}, 2) == std::vector<double>{1, 0});
    CHECK_THROWS_AS(normalized_weights({1, -0.5}, 2), UsageError);
    CHECK_THROWS_AS(normalized_weights({0, 0}, 2), UsageError);
    CHECK_THROWS_AS(normalized_weights({1, 1}, 3), UsageError);
  }

  TEST_CASE("an average of networks with batch norm averages values, not counts of batches") {
    Generator g(3, Stream::test);
    ResNet18 a({1, 2, 3}, true, g), b({1, 2, 3}, true, g), merged({1, 2, 3}, true, g);
    a(random({2, 4, 4, 1}, 1));
    average_models({.models = {&a, &b}, .weights = {0.25, 0.75}}, merged);
    CHECK(merged.stem.norm->num_batches_tracked.item() == 1);
    const auto first = a.stem.norm->running_mean.to_vector<float>(),
               second = b.stem.norm->running_mean.to_vector<float>(),
               mean = merged.stem.norm->running_mean.to_vector<float>();
    CHECK(first != second);
    for (int c = 0; c < 2; ++c)
      CHECK(std::abs(mean[c] - (0.25 * first[c] + 0.75 * second[c])) <= 1e-7);
  }

  TEST_CASE("a refit is exact when the bodies agree") {
    Mlp a = random_mlp({6, 8, 3}, 1), b = random_mlp({6, 8, 3}, 2),
        merged = random_mlp({6, 8, 3}, 3);
    b.layers[0].weight.detach().copy_(a.layers[0].weight);
    b.layers[0].bias.detach().copy_(a.layers[0].bias);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.3, 0.7}, .ridge = 1e-9};
    problem.points = {random({60, 6}, 4), random({40, 6}, 5)};
    average_models(problem, merged);
    // Spoil the head; the refit has to find it again.
    Tensor head = merged.layers[1].weight.detach();
    head.fill_(5);
    refit_last_layer(problem, merged);
    NoGradGuard no_grad;
    const Tensor fresh = random({50, 6}, 6);
    const Tensor want = scale(a(fresh), 0.3) + scale(b(fresh), 0.7);
    CHECK(largest_difference(merged(fresh), want) <= 1e-3);

    // With an immense ridge the head stays where it was.
    problem.ridge = 1e9;
    const auto before = merged.layers[1].weight.to_vector<float>();
    refit_last_layer(problem, merged);
    const auto after = merged.layers[1].weight.to_vector<float>();
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(std::abs(before[i] - after[i]) <= 1e-6);

    Generator generator(1);
    Sequential relu_end(Linear(6, 3, generator, {.activation = Activation::relu}));
    Sequential other(Linear(6, 3, generator, {.activation = Activation::relu}));
    Sequential third(Linear(6, 3, generator, {.activation = Activation::relu}));
    CHECK(problem.models[0]->training());  // merges write no model, nor its mode
    problem.models = {&relu_end, &other};
    CHECK_THROWS_AS(refit_last_layer(problem, third), Error);
  }
}
