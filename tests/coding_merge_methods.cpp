// Codes over models: the merges that solve or train, against their definitions.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "coding/merging/difference.h"
#include "coding/merging/layer_matrices.h"
#include "coding/merging/merge.h"
#include "coding/merging/weights_search.h"
#include "engine/autograd.h"
#include "engine/nn/convolution.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
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

std::vector<double> values(const Tensor& x) { return cast(x, DType::f64).to_vector<double>(); }

// Σ over all points of ‖f_merged − Σ β_i f_i‖².
double output_error(const MergeProblem& problem, Module& merged) {
  const NoGradGuard no_grad;
  const EvaluationGuard evaluation(merged);
  double error = 0;
  for (const Tensor& points : problem.points) {
    Tensor wanted;
    for (std::size_t i = 0; i < problem.models.size(); ++i) {
      const EvaluationGuard own(*problem.models[i]);
      const Tensor part = scale((*problem.models[i])(points), problem.weights[i]);
      wanted = wanted.defined() ? wanted + part : part;
    }
    error += sum(square(merged(points) - wanted)).item();
  }
  return error;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("a convolution's matrix times its windows is the convolution") {
    const NoGradGuard no_grad;
    Generator generator(1);
    for (const Conv2d conv : {Conv2d{}, Conv2d{.stride = 2, .padding = 1},
                              Conv2d{.stride = {1, 2}, .padding = {0, 2}, .dilation = {2, 1}}})
      for (const bool bias : {true, false}) {
        Convolution layer(3, 4, {3, 2}, generator, {.conv = conv, .bias = bias});
        layer.to(DType::f64);
        const Tensor x = random({2, 7, 6, 3}, 2, DType::f64);
        const LayerMatrix matrix(layer);
        CHECK(matrix.outputs() == 4);
        CHECK(matrix.inputs() == 18 + (bias ? 1 : 0));
        const Tensor y = layer(x);
        const Tensor rows = LayerMatrix::products(matrix.rows(x), matrix.matrix());
        CHECK(largest_difference(reshape(rows, y.shape()), y) <= 1e-12);
        // What is set is what is there.
        const Tensor other = random({4, matrix.inputs()}, 3, DType::f64);
        matrix.set(other);
        CHECK(largest_difference(matrix.matrix(), other) == 0);
        CHECK(largest_difference(reshape(LayerMatrix::products(matrix.rows(x), other), y.shape()),
                                 layer(x)) <= 1e-12);
      }
  }

  TEST_CASE("layers are told in the order in which they run") {
    Generator generator(1);
    ResNet18 model({3, 2, 4, 5}, false, generator);
    const Tensor points = random({5, 8, 8, 3}, 2);
    const std::vector<Module*> layers = layers_in_order(model, points);
    REQUIRE(layers.size() == 1 + 4 + 5 + 1);
    CHECK(layers.front() == &model.stem.convolution);
    CHECK(layers.back() == &model.fc);
    std::size_t calls = 0;
    for_each_layer_input(
        model, points,
        [&](std::size_t layer, Module& module, const Tensor& input) {
          CHECK(&module == layers[layer]);
          CHECK(input.size(0) == (calls < layers.size() ? 3 : 2));
          ++calls;
        },
        3);
    CHECK(calls == 2 * layers.size());
  }

  TEST_CASE("RegMean by its formula, layer for layer") {
    Mlp a = random_mlp({4, 3, 2}, 1), b = random_mlp({4, 3, 2}, 2),
        merged = random_mlp({4, 3, 2}, 3);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.3, 0.7}, .off_diagonal = 0.8};
    problem.points = {random({50, 4}, 5), random({20, 4}, 6)};
    const NoGradGuard no_grad;
    for (const bool pooled : {false, true}) {
      CAPTURE(pooled);
      problem.pooled = pooled;
      merge(problem, "regmean", merged);
      const Tensor all = concat(problem.points, 0);
      for (std::size_t l = 0; l < 2; ++l) {
        // (Σ β_i G̃_i) W = Σ β_i G̃_i W_i must hold, with W (in, out), a 1 behind each input.
        Tensor left, right;
        for (std::size_t i = 0; i < 2; ++i) {
          Mlp& model = i == 0 ? a : b;
          Tensor x = pooled ? all : problem.points[i];
          if (l == 1) x = model.layers[0](x);
          const Tensor rows = cast(concat({x, Tensor::ones({x.size(0), 1})}, 1), DType::f64);
          const std::vector<double> gram = values(matmul(transpose(rows), rows));
          const std::int64_t J = rows.size(1);
          std::vector<double> scaled(gram);
          for (std::int64_t r = 0; r < J; ++r)
            for (std::int64_t c = 0; c < J; ++c) {
              double& value = scaled[static_cast<std::size_t>(r * J + c)];
              value *= (r == c ? 1 : 0.8) * problem.weights[i] / static_cast<double>(x.size(0));
            }
          const Tensor g = Tensor::from(scaled, {J, J});
          const Tensor own = transpose(LayerMatrix(model.layers[l]).matrix());
          const Tensor part = matmul(g, own);
          const Tensor there = matmul(g, transpose(LayerMatrix(merged.layers[l]).matrix()));
          left = i == 0 ? there : left + there;
          right = i == 0 ? part : right + part;
        }
        CHECK(largest_difference(left, right) <= 2e-5);
      }
    }
  }

  TEST_CASE("RegMean averages convolutions unless it is told to solve for them") {
    Generator generator(4);
    ResNet18 a({1, 2, 3}, false, generator), b({1, 2, 3}, false, generator),
        merged({1, 2, 3}, false, generator), average({1, 2, 3}, false, generator);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}};
    problem.points = {random({20, 6, 6, 1}, 5), random({20, 6, 6, 1}, 6)};
    merge(problem, "average", average);
    merge(problem, "regmean", merged);
    CHECK(values(merged.stem.convolution.weight) == values(average.stem.convolution.weight));
    CHECK(values(merged.fc.weight) != values(average.fc.weight));
    merge(problem, "regmean-conv", merged);
    CHECK(values(merged.stem.convolution.weight) != values(average.stem.convolution.weight));
    // Both models the same: every merge gives that model again.
    MergeProblem same{.models = {&a, &a}, .weights = {0.5, 0.5}, .points = problem.points};
    for (const char* recipe : {"average", "coin", "regmean", "regmean-conv", "kfac", "sequential",
                               "refit", "rebasin+average"}) {
      CAPTURE(recipe);
      merge(same, recipe, merged);
      const auto have = merged.parameters(), want = a.parameters();
      for (std::size_t t = 0; t < have.size(); ++t)
        CHECK(largest_difference(have[t].detach(), want[t].detach()) <= 2e-4);
    }
  }

  TEST_CASE("K-FAC solves its equations, and with one factor it is RegMean") {
    // A linear model: B is the identity for the Gaussian kind, A the inputs' Gram matrix.
    Generator generator(7);
    Logistic a(5, 3, generator), b(5, 3, generator), kfac(5, 3, generator),
        regmean(5, 3, generator);
    MergeProblem problem{
        .models = {&a, &b}, .weights = {0.4, 0.6}, .kfac_damping = 0, .off_diagonal = 1};
    problem.points = {random({60, 5}, 8), random({60, 5}, 9)};
    merge(problem, "kfac", kfac);
    merge(problem, "regmean", regmean);
    for (std::size_t t = 0; t < 2; ++t)
      CHECK(largest_difference(kfac.parameters()[t].detach(), regmean.parameters()[t].detach()) <=
            2e-4);

    // Damping without end leaves of each layer's factors their traces: an average with one weight
    // for the layer.
    Mlp c = random_mlp({4, 6, 3}, 1), d = random_mlp({4, 6, 3}, 2),
        merged = random_mlp({4, 6, 3}, 3), average = random_mlp({4, 6, 3}, 3);
    MergeProblem deep{.models = {&c, &d}, .weights = {0.5, 0.5}, .kfac_damping = 1e6};
    deep.points = {random({60, 4}, 8), random({60, 4}, 9)};
    merge(deep, "kfac", merged);
    merge(deep, "average", average);
    for (std::size_t l = 0; l < 2; ++l) {
      const Tensor apart = LayerMatrix(c.layers[l]).matrix() - LayerMatrix(d.layers[l]).matrix();
      const Tensor moved =
          LayerMatrix(merged.layers[l]).matrix() - LayerMatrix(d.layers[l]).matrix();
      const double share = sum(moved * apart).item() / sum(square(apart)).item();
      CHECK(share > 0);
      CHECK(share < 1);
      CHECK(largest_difference(moved, scale(apart, share)) <= 1e-4);
    }
    deep.kfac_damping = 0.3;
    merge(deep, "kfac", merged);
    CHECK(largest_difference(merged.parameters()[0].detach(), average.parameters()[0].detach()) >
          1e-3);
    deep.fisher.kind = FisherKind::empirical;
    CHECK_THROWS_WITH_AS(merge(deep, "kfac", merged), doctest::Contains("labels"), Error);
    CHECK_THROWS_WITH_AS(merge(deep, "coin", merged), doctest::Contains("labels"), Error);
  }

  TEST_CASE("refits and distillation come nearer to the answers, and chains go on from there") {
    Mlp a = random_mlp({6, 10, 8, 3}, 1), b = random_mlp({6, 10, 8, 3}, 2),
        merged = random_mlp({6, 10, 8, 3}, 3);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}};
    problem.points = {random({80, 6}, 4), random({80, 6}, 5)};
    problem.distillation = {.epochs = 20, .batch_size = 16, .lr = 5e-3, .seed = 1};
    std::vector<double> losses;
    problem.distillation.after_epoch = [&](const DistillationEpoch& epoch, Module&) {
      CHECK(epoch.epoch == static_cast<std::int64_t>(losses.size()) + 1);
      losses.push_back(epoch.loss);
      return true;
    };
    merge(problem, "average", merged);
    const double average = output_error(problem, merged);
    merge(problem, "refit", merged);
    const double refit = output_error(problem, merged);
    merge(problem, "distill", merged);
    const double distilled = output_error(problem, merged);
    CHECK(refit < average);
    CHECK(distilled < 0.5 * average);
    REQUIRE(losses.size() == 20);
    CHECK(losses.back() < losses.front());
    const auto first = values(merged.layers[0].weight);
    losses.clear();
    merge(problem, "distill", merged);  // the same seed, the same bits
    CHECK(values(merged.layers[0].weight) == first);
    CHECK(merged.layers[0].weight.requires_grad());

    merge(problem, "coin", merged);
    const double coin = output_error(problem, merged);
    losses.clear();
    merge(problem, "coin+distill", merged);
    CHECK(output_error(problem, merged) < coin);
    merge(problem, "coin+refit", merged);
    CHECK(output_error(problem, merged) < coin);
    // A limit of epochs from the caller.
    losses.clear();
    problem.distillation.after_epoch = [&](const DistillationEpoch& epoch, Module&) {
      losses.push_back(epoch.loss);
      return epoch.epoch < 3;
    };
    merge(problem, "distill", merged);
    CHECK(losses.size() == 3);
    problem.distillation.lr = 1e30;
    problem.distillation.after_epoch = {};
    CHECK_THROWS_WITH_AS(merge(problem, "distill", merged), doctest::Contains("diverged"), Error);
  }

  TEST_CASE("a sequential refit undoes a disturbance of every layer") {
    Mlp a = random_mlp({6, 10, 8, 3}, 1), b = random_mlp({6, 10, 8, 3}, 1),
        merged = random_mlp({6, 10, 8, 3}, 3);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}, .ridge = 1e-9};
    problem.points = {random({200, 6}, 4), random({200, 6}, 5)};
    merge(problem, "average", merged);  // exact: the models are equal
    for (Tensor& parameter : merged.parameters())
      parameter.detach().copy_(parameter.detach() + scale(random(parameter.shape(), 6), 0.1));
    const double disturbed = output_error(problem, merged);
    refit_all_layers(problem, merged);
    CHECK(disturbed > 1);
    CHECK(output_error(problem, merged) <= 1e-3);
  }

  TEST_CASE("batch norm is measured again with the merged weights") {
    Generator generator(5);
    ResNet18 a({1, 2, 3}, true, generator), b({1, 2, 3}, true, generator),
        merged({1, 2, 3}, true, generator);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}};
    problem.points = {random({70, 6, 6, 1}, 6), scale(random({100, 6, 6, 1}, 7), 2)};
    merge(problem, "average", merged);
    const auto statistics = values(merged.stem.norm->running_mean);
    // The stem's own statistics: the mean of its outputs over the points, batch by batch.
    Tensor total;
    for (const int half : {0, 1}) {
      std::vector<Tensor> parts;
      for (const Tensor& points : problem.points)
        parts.push_back(
            slice(points, 0, points.size(0) / 2 * half, points.size(0) / 2 * (half + 1)));
      const NoGradGuard no_grad;
      const Tensor y = merged.stem.convolution(concat(parts, 0));
      const Tensor part = scale(mean(y, {0, 1, 2}), 0.5);
      total = total.defined() ? total + part : part;
    }
    for (int c = 0; c < 2; ++c)
      CHECK(std::abs(statistics[static_cast<std::size_t>(c)] -
                     values(total)[static_cast<std::size_t>(c)]) <= 1e-5);
    for (const char* recipe : {"coin", "kfac", "regmean-conv", "coin+refit", "distill"}) {
      CAPTURE(recipe);
      problem.distillation.epochs = 2;
      merge(problem, recipe, merged);
      CHECK(std::isfinite(output_error(problem, merged)));
    }
    // A network that trained with its statistics keeps them when its last layer alone is refitted.
    const auto trained = values(merged.stem.norm->running_mean);
    merge(problem, "distill+refit", merged);
    CHECK(values(merged.stem.norm->running_mean) == trained);
  }

  TEST_CASE("weights that minimise the worst decoded error are found") {
    // Model b's answers are large: an error of the coded answer that comes from them hurts a most,
    // unless a has the larger weight.
    Mlp a = random_mlp({4, 8, 3}, 1), b = random_mlp({4, 8, 3}, 2),
        merged = random_mlp({4, 8, 3}, 3);
    for (Tensor parameter : b.layers[1].parameters())
      parameter.detach().copy_(scale(parameter.detach(), 5));
    std::vector<Dataset> validation(2);
    MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}};
    for (std::uint64_t t = 0; t < 2; ++t) {
      validation[t].name = t == 0 ? "first" : "second";
      validation[t].images = cast(scale(random({60, 2, 2, 1}, 30 + t) + 1.0, 127), DType::u8);
      validation[t].classes = 3;
      validation[t].normalization = {{0}, {1}};
      const NoGradGuard no_grad;
      Module& own = t == 0 ? static_cast<Module&>(a) : b;
      const Tensor inputs = scale(cast(validation[t].images, DType::f32), 1.0 / 255);
      validation[t].labels = argmax(own(inputs));
      problem.points.push_back(inputs);
    }
    const WeightsSearch search =
        search_weights(problem, "coin", merged, {&validation[0], &validation[1]}, 25);
    REQUIRE(!search.tries.empty());
    CHECK(search.tries.size() <= 25);
    CHECK(search.tries[0].weights == std::vector<double>{0.5, 0.5});
    CHECK(search.best.weights[0] > 0.5);
    CHECK(search.best.worst_decoded_error < search.tries[0].worst_decoded_error);
    for (const WeightsTry& one : search.tries)
      CHECK(search.best.worst_decoded_error <= one.worst_decoded_error);
  }

  TEST_CASE("what a merge has to reconcile, by tensor") {
    Mlp a = random_mlp({4, 3, 2}, 1), b = random_mlp({4, 3, 2}, 2),
        start = random_mlp({4, 3, 2}, 3);
    const Tensor points = random({30, 4}, 4);
    const std::vector<std::vector<NamedTensor>> fishers = {diagonal_fisher(a, points),
                                                           diagonal_fisher(b, points)};
    const auto tensors = explain_difference({&a, &b}, &start, fishers);
    REQUIRE(tensors.size() == 4);
    CHECK(tensors[0].name == "0.weight");
    CHECK(tensors[0].shape == Shape{3, 4});
    const auto wa = values(a.layers[0].weight), wb = values(b.layers[0].weight),
               ws = values(start.layers[0].weight), f = values(fishers[0][0].tensor);
    double norm = 0, from_mean = 0, from_start = 0, mass = 0;
    for (std::size_t j = 0; j < wa.size(); ++j) {
      norm += wa[j] * wa[j];
      from_mean += (wa[j] - wb[j]) * (wa[j] - wb[j]) / 4;
      from_start += (wa[j] - ws[j]) * (wa[j] - ws[j]);
      mass += f[j];
    }
    CHECK(tensors[0].size[0] == doctest::Approx(std::sqrt(norm)));
    CHECK(tensors[0].from_mean[0] == doctest::Approx(std::sqrt(from_mean)));
    CHECK(tensors[0].from_start[0] == doctest::Approx(std::sqrt(from_start)));
    CHECK(tensors[0].fisher_mass[0] == doctest::Approx(mass));
    for (std::size_t i = 0; i < 2; ++i) {
      double share = 0, error = 0;
      for (const TensorDifference& tensor : tensors) {
        share += tensor.fisher_share[i];
        error += tensor.expected_error[i];
      }
      CHECK(share == doctest::Approx(1));
      CHECK(error == doctest::Approx(1));
    }
    const auto bare = explain_difference({&a, &b}, nullptr, {});
    CHECK(bare[0].fisher_mass.empty());
    CHECK(bare[0].from_start.empty());
  }

  TEST_CASE("a recipe's needs and its refusals") {
    CHECK(to_string(needs_of("average")) == "nothing");
    CHECK(to_string(needs_of("rebasin+average")) == "nothing");
    CHECK(to_string(needs_of("ties")) == "start");
    CHECK(to_string(needs_of("coin+refit")) == "points, gradients");
    CHECK(to_string(needs_of("regmean")) == "points");
    CHECK(to_string(MergeNeeds{.points = true, .labels = true}) == "points, labels");
    CHECK(has_method("rebasin+coin", "coin"));
    CHECK(!has_method("regmean-conv", "regmean"));
    check_recipe("rebasin+coin+refit");
    for (const char* late : {"coin+rebasin", "refit+rebasin"})
      CHECK_THROWS_WITH_AS(check_recipe(late), doctest::Contains("comes first"), UsageError);
    CHECK_THROWS_WITH_AS(check_recipe("rebasin+refit+coin"), doctest::Contains("would undo"),
                         UsageError);
    Mlp a = random_mlp({4, 3, 2}, 1), b = random_mlp({4, 3, 2}, 2),
        merged = random_mlp({4, 3, 2}, 3);
    CHECK_THROWS_WITH_AS(merge({.models = {&a, &b}, .weights = {0.5, 0.5}}, "ties", merged),
                         doctest::Contains("trained from"), Error);
    CHECK_THROWS_WITH_AS(merge({.models = {&a, &b}, .weights = {0.5, 0.5}}, "kfac", merged),
                         doctest::Contains("0 for 2"), Error);
    CHECK_THROWS_WITH_AS(merge({.models = {&a, &b}, .weights = {1.5, -0.5}}, "average", merged),
                         doctest::Contains("-0.5"), Error);
    CHECK_THROWS_WITH_AS(merge({.models = {&a, &b}, .weights = {0.5, 0.5}}, "average", a),
                         doctest::Contains("one of the models"), Error);
  }
}
