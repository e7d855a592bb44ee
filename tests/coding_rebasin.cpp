// Re-Basin as a step of a merge: the problem's models are replaced by copies in one order.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "coding/merging/alignment.h"
#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/registry.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

// `n` networks that are one, each with its units in another order.
std::vector<std::unique_ptr<Model>> shuffled_copies(const std::string& description, int n) {
  std::vector<std::unique_ptr<Model>> models;
  for (int i = 0; i < n; ++i) {
    Generator start(1), order(static_cast<std::uint64_t>(i));
    models.push_back(make_model(description, start));
    models.back()->eval();
    if (i == 0) continue;
    const PermutationSpec spec = permutation_spec(*models.back());
    models.back()->load_state_dict(
        permuted(spec, random_permutations(spec, order), models.back()->state_dict()));
  }
  return models;
}

MergeProblem problem_of(const std::vector<std::unique_ptr<Model>>& models) {
  MergeProblem problem;
  for (const auto& model : models) problem.models.push_back(model.get());
  problem.weights = normalized_weights({}, models.size());
  return problem;
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("rebasin brings all models into the order of the first, and leaves the caller's") {
    for (const std::string description : {"mlp 30-24-20-10", "resnet18 3-12-16-10"}) {
      CAPTURE(description);
      const auto models = shuffled_copies(description, 3);
      const MergeProblem problem = problem_of(models);
      const auto before = clone(models[1]->parameters()[0].detach());
      MergeWork work{problem, {}};
      align_models(work);
      CHECK(work.models[0] == models[0].get());
      REQUIRE(work.made.size() == 2);
      for (std::size_t i = 1; i < 3; ++i) {
        CHECK(work.models[i] != models[i].get());
        CHECK(!work.models[i]->training());
        const auto wanted = models[0]->state_dict(), found = work.models[i]->state_dict();
        for (std::size_t t = 0; t < wanted.size(); ++t) {
          CAPTURE(wanted[t].name);
          CHECK(largest_difference(found[t].tensor, wanted[t].tensor) <= 0);
        }
      }
      CHECK(largest_difference(models[1]->parameters()[0], before) <= 0);
    }
  }

  TEST_CASE("Fisher information goes along with the model that it was measured of") {
    const auto models = shuffled_copies("mlp 30-24-20-10", 2);
    MergeProblem problem = problem_of(models);
    for (const auto& model : models) {  // the weights themselves, so that their order shows
      problem.fishers.push_back(model->named_parameters());
      for (NamedTensor& named : problem.fishers.back()) named.tensor = abs(named.tensor.detach());
    }
    MergeWork work{problem, {}};
    align_models(work);
    for (std::size_t t = 0; t < work.fishers[0].size(); ++t) {
      CAPTURE(work.fishers[0][t].name);
      CHECK(largest_difference(work.fishers[1][t].tensor, work.fishers[0][t].tensor) <= 0);
    }
  }

  TEST_CASE("the average of shuffled copies is the network, once they are aligned") {
    const auto models = shuffled_copies("mlp 30-24-20-10", 3);
    const MergeProblem problem = problem_of(models);
    const auto merged = make_model("mlp 30-24-20-10");
    const Tensor x = random({8, 30}, 3);
    const NoGradGuard no_grad;
    const Tensor wanted = (*models[0])(x);
    merge(problem, "average", *merged);
    CHECK(largest_difference((*merged)(x), wanted) > 1e-2);
    merge(problem, "rebasin+average", *merged);
    CHECK(largest_difference((*merged)(x), wanted) <= 1e-6);
    merge(problem, "rebasin", *merged);  // by itself it ends in the average
    CHECK(largest_difference((*merged)(x), wanted) <= 1e-6);
  }

  TEST_CASE("rebasin refuses networks whose units it does not know") {
    Generator generator(1);
    const auto a = make_model("logistic 6-3", generator), b = make_model("logistic 6-3", generator);
    MergeProblem problem;
    problem.models = {a.get(), b.get()};
    problem.weights = {0.5, 0.5};
    MergeWork work{problem, {}};
    CHECK_THROWS_AS(align_models(work), UsageError);
    CHECK_THROWS_AS(check_recipe("rebasin+average", *a), UsageError);
  }
}
