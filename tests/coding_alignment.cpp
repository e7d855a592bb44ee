// Units of one network put into the order of another's: networks that were shuffled brought back,
// functions that stay what they were, averages that get better.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "coding/merging/alignment.h"
#include "engine/autograd.h"
#include "engine/nn/sequential.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
#include "models/registry.h"
#include "models/resnet.h"
#include "tests/coding_tensors.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

std::unique_ptr<Model> network(const std::string& description, std::uint64_t seed) {
  Generator generator(seed);
  std::unique_ptr<Model> model = make_model(description, generator);
  model->to(DType::f64);
  // As training leaves them: norms that differ from channel to channel, biases that are not 0.
  std::vector<NamedTensor> state = model->state_dict();
  for (std::size_t t = 0; t < state.size(); ++t)
    if (state[t].tensor.rank() == 1) {
      const Tensor noise = random(state[t].tensor.shape(), 1000 * seed + t, DType::f64);
      const bool variance = state[t].name.ends_with("running_var");
      state[t].tensor = variance ? shift(scale(noise, 0.5), 1) : state[t].tensor + 0.3 * noise;
    }
  model->load_state_dict(state);
  model->eval();
  return model;
}

std::unique_ptr<Model> like(const Model& model, const std::vector<NamedTensor>& state) {
  std::unique_ptr<Model> copy = make_model(model.describe());
  copy->to(DType::f64);
  copy->load_state_dict(state);
  copy->eval();
  return copy;
}

Tensor images_for(const Model& model) {
  return model.describe().starts_with("mlp") ? random({9, 6, 6, 1}, 7, DType::f64)
                                             : random({3, 8, 8, 3}, 7, DType::f64);
}

Tensor answers(Model& model, const Tensor& images) {
  const NoGradGuard no_grad;
  return model(images);
}

std::vector<NamedTensor> average(const std::vector<NamedTensor>& a,
                                 const std::vector<NamedTensor>& b) {
  std::vector<NamedTensor> mean = a;
  for (std::size_t t = 0; t < a.size(); ++t)
    if (is_floating(a[t].tensor.dtype())) mean[t].tensor = scale(a[t].tensor + b[t].tensor, 0.5);
  return mean;
}

double worst_difference(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    REQUIRE(a[t].name == b[t].name);
    const double difference = largest_difference(a[t].tensor, b[t].tensor);
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}

const std::vector<std::string> architectures = {"mlp 36-24-20-16-10", "resnet18 3-12-16-20-24-10",
                                                "resnet18 3-12-16-20-24-10 no-batch-norm",
                                                "resnet18 3-12-12-10"};

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("reordering the units leaves the function as it was") {
    for (const std::string& architecture : architectures) {
      CAPTURE(architecture);
      const auto model = network(architecture, 1);
      const PermutationSpec spec = permutation_spec(*model);
      Generator generator(3);
      const auto moved = permuted(spec, random_permutations(spec, generator), model->state_dict());
      CHECK(worst_difference(moved, model->state_dict()) > 0.1);
      const auto copy = like(*model, moved);
      const Tensor images = images_for(*model);
      CHECK(largest_difference(answers(*copy, images), answers(*model, images)) <= 1e-10);
    }
  }

  TEST_CASE("every axis of hidden units is in one group") {
    for (const std::string& architecture : architectures) {
      CAPTURE(architecture);
      const auto model = network(architecture, 1);
      const PermutationSpec spec = permutation_spec(*model);
      for (const NamedTensor& named : model->state_dict()) {
        CAPTURE(named.name);
        const bool first = named.name == "0.weight" || named.name == "conv1.weight";
        const bool last = named.name.starts_with("fc.") || named.name.starts_with("6.");
        for (int axis = 0; axis < named.tensor.rank(); ++axis) {
          CAPTURE(axis);
          int groups = 0;
          for (const PermutationGroup& group : spec.groups)
            for (const PermutedAxis& place : group.axes)
              groups += place.tensor == named.name && place.axis == axis;
          const bool inputs = axis == named.tensor.rank() - 1 && axis > 0;
          const bool outputs = axis == 0;
          CHECK(groups == ((inputs && !first) || (outputs && !last) ? 1 : 0));
        }
      }
    }
    CHECK(permutation_spec(*network("resnet18 3-12-16-20-24-10", 1)).groups.size() == 12);
    CHECK(permutation_spec(*network("resnet18 3-12-12-10", 1)).groups.size() == 6);
    CHECK(permutation_spec(*network("mlp 36-10", 1)).groups.empty());
  }

  TEST_CASE("a network whose units were shuffled is brought back exactly") {
    for (const std::string& architecture : architectures)
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(architecture);
        CAPTURE(seed);
        const auto model = network(architecture, seed);
        const PermutationSpec spec = permutation_spec(*model);
        Generator generator(seed);
        const auto moved =
            permuted(spec, random_permutations(spec, generator), model->state_dict());
        Alignment found;
        const auto aligned = align(spec, model->state_dict(), moved, generator, &found);
        CHECK(worst_difference(aligned, model->state_dict()) <= 0);
        CHECK(found.after > found.before);
        CHECK(std::abs(found.cosine_after - 1) <= 1e-12);
        CHECK(found.cosine_before < 0.9);
        CHECK(found.sweeps <= 20);
      }
  }

  TEST_CASE("a network is in its own order already") {
    const auto model = network("resnet18 3-12-16-20-24-10", 4);
    const PermutationSpec spec = permutation_spec(*model);
    Generator generator(1);
    const Alignment found = match_units(spec, model->state_dict(), model->state_dict(), generator);
    CHECK(found.permutations == identity_permutations(spec));
    CHECK(found.sweeps == 1);
    CHECK(found.after == found.before);
  }

  TEST_CASE("aligned networks average better than networks as they are") {
    for (const std::string& architecture : architectures) {
      CAPTURE(architecture);
      const auto a = network(architecture, 1);
      const PermutationSpec spec = permutation_spec(*a);
      Generator generator(2);
      auto state = permuted(spec, random_permutations(spec, generator), a->state_dict());
      for (std::size_t t = 0; t < state.size(); ++t)
        if (is_floating(state[t].tensor.dtype()))
          state[t].tensor =
              state[t].tensor + 0.01 * random(state[t].tensor.shape(), 50 + t, DType::f64);
      const auto b = like(*a, state);
      Alignment found;
      const auto aligned = align(spec, a->state_dict(), state, generator, &found);
      const auto turned = like(*a, aligned);
      const Tensor images = images_for(*a);
      CHECK(largest_difference(answers(*turned, images), answers(*b, images)) <= 1e-10);

      const Tensor wanted = scale(answers(*a, images) + answers(*b, images), 0.5);
      const auto plain = like(*a, average(a->state_dict(), state));
      const auto better = like(*a, average(a->state_dict(), aligned));
      const double apart = largest_difference(answers(*plain, images), wanted);
      CHECK(largest_difference(answers(*better, images), wanted) <= 0.2 * apart);
    }
  }

  TEST_CASE("alignment gains in every sweep and is the same for the same seed") {
    const auto a = network("mlp 36-24-20-16-10", 1), b = network("mlp 36-24-20-16-10", 2);
    const PermutationSpec spec = permutation_spec(*a);
    double before = -std::numeric_limits<double>::infinity();
    for (int sweeps = 0; sweeps <= 6; ++sweeps) {
      Generator generator(9);
      const Alignment found =
          match_units(spec, a->state_dict(), b->state_dict(), generator, {.most_sweeps = sweeps});
      CHECK(found.sweeps <= sweeps);
      CHECK(found.after >= before);
      before = found.after;
      // What was gained is what the reordered tensors have.
      double similarity = 0;
      const auto moved = permuted(spec, found.permutations, b->state_dict());
      const auto reference = a->state_dict();
      for (std::size_t t = 0; t + 1 < moved.size(); ++t)  // the last bias has no hidden unit
        similarity += sum(moved[t].tensor * reference[t].tensor).item();
      CHECK(std::abs(found.after - similarity) <= 1e-10);
    }
    Generator one(9), two(9);
    CHECK(match_units(spec, a->state_dict(), b->state_dict(), one).permutations ==
          match_units(spec, a->state_dict(), b->state_dict(), two).permutations);
  }

  TEST_CASE("running statistics move with their channels but do not choose them") {
    const std::string architecture = "resnet18 3-8-8-10";
    const auto a = network(architecture, 1), b = network(architecture, 2);
    const PermutationSpec spec = permutation_spec(*a);
    auto other = b->state_dict();
    for (NamedTensor& named : other)
      if (named.name.ends_with("running_mean"))
        named.tensor = random(named.tensor.shape(), 77, DType::f64);
    Generator one(9), two(9);
    CHECK(match_units(spec, a->state_dict(), b->state_dict(), one).permutations ==
          match_units(spec, a->state_dict(), other, two).permutations);
  }

  TEST_CASE("a part of a state goes along in the same order") {
    const auto model = network("mlp 36-24-20-16-10", 1);
    const PermutationSpec spec = permutation_spec(*model);
    Generator generator(1);
    const Permutations permutations = random_permutations(spec, generator);
    const auto all = permuted(spec, permutations, model->state_dict());
    const auto some = permuted(spec, permutations, {model->state_dict()[2]});
    REQUIRE(some.size() == 1);
    CHECK(largest_difference(some[0].tensor, all[2].tensor) <= 0);
    // new[i] = old[permutation[i]]
    const Tensor line = permuted(Tensor::arange(4), 0, {2, 0, 3, 1});
    CHECK(line.to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 0, 3, 1});
  }

  TEST_CASE("alignment says what does not fit") {
    Generator generator(1);
    Logistic logistic(36, 10, generator);
    CHECK_THROWS_AS(permutation_spec(logistic), UsageError);
    CHECK(error_text([&] { permutation_spec(logistic); }).find(logistic.describe()) !=
          std::string::npos);
    Sequential chain;
    CHECK_THROWS_AS(permutation_spec(chain), UsageError);

    const auto model = network("mlp 36-24-20-16-10", 1);
    const auto wide = network("mlp 36-24-21-16-10", 1);
    const PermutationSpec spec = permutation_spec(*model);
    const auto text = [&](const std::vector<NamedTensor>& state) {
      return error_text([&] { align(spec, model->state_dict(), state, generator); });
    };
    CHECK(text(wide->state_dict()).find("\"2.weight\"") != std::string::npos);
    auto state = model->state_dict();
    state.pop_back();
    state.pop_back();
    CHECK(text(state).find("has no \"6.weight\"") != std::string::npos);
    state = model->state_dict();
    state[2].tensor = Tensor::full({20, 24}, std::nan(""), DType::f64);
    CHECK(text(state).find("\"2.weight\" of the network to align") != std::string::npos);

    Permutations wrong = identity_permutations(spec);
    wrong[1][3] = 4;  // twice, and 3 not at all
    CHECK_THROWS_AS(permuted(spec, wrong, model->state_dict()), Error);
    wrong.pop_back();
    CHECK_THROWS_AS(permuted(spec, wrong, model->state_dict()), Error);
    const PermutationSpec twice = {{{"both", 4, {{"w", 0}, {"w", 1}}}}};
    const std::vector<NamedTensor> square = {{"w", random({4, 4}, 1, DType::f64)}};
    CHECK_THROWS_AS(align(twice, square, square, generator), Error);
  }
}
