// Fisher information in files: the same numbers back, and every file that does not fit refused.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "coding/merging/fisher.h"
#include "coding/merging/fisher_file.h"
#include "engine/safetensors.h"
#include "kernels/check.h"
#include "models/mlp.h"
#include "models/model_file.h"
#include "models/resnet.h"
#include "tests/coding_tensors.h"
#include "tests/temporary_folder.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

Mlp small_mlp(std::vector<std::int64_t> widths, std::uint64_t seed) {
  Generator generator(seed);
  return Mlp(std::move(widths), generator);
}

// A file that was written and then changed.
void change(const std::filesystem::path& path, const std::function<void(Safetensors&)>& edit) {
  Safetensors content = read_safetensors(path);
  edit(content);
  write_safetensors(path, content);
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("a Fisher file gives back what was saved, in PyTorch's order of axes") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "fisher.safetensors";
    Generator generator(1);
    ResNet18 model({1, 2, 3, 4}, true, generator);
    const auto fisher = diagonal_fisher(model, random({3, 6, 6, 1}, 2));
    save_fisher(path, model, fisher,
                {.kind = FisherKind::sampled,
                 .points = 3,
                 .dataset = "mnist",
                 .model = model.describe(),
                 .seed = 18446744073709551615u,
                 .machine = "an abacus, fp32"});
    const FisherFile back = load_fisher(path, model);
    REQUIRE(back.fisher.size() == fisher.size());
    for (std::size_t t = 0; t < fisher.size(); ++t) {
      CHECK(back.fisher[t].name == fisher[t].name);
      CHECK(largest_difference(back.fisher[t].tensor, fisher[t].tensor) == 0);
    }
    REQUIRE(back.info);
    CHECK(back.info->kind == FisherKind::sampled);
    CHECK(back.info->points == 3);
    CHECK(back.info->dataset == "mnist");
    CHECK(back.info->model == "resnet18 1-2-3-4");
    CHECK(back.info->seed == 18446744073709551615u);
    CHECK(back.info->machine == "an abacus, fp32");
    const Safetensors content = read_safetensors(path);
    CHECK(content.at("layer2.0.conv1.weight").shape() == Shape{3, 2, 3, 3});
    CHECK(content.find("bn1.running_mean") == nullptr);

    // What another program has written says nothing of where it comes from.
    change(path, [](Safetensors& file) { file.metadata.clear(); });
    const FisherFile foreign = load_fisher(path, model);
    CHECK(!foreign.info);
    CHECK(largest_difference(foreign.fisher[0].tensor, fisher[0].tensor) == 0);
  }

  TEST_CASE("a Fisher file that does not fit the network is refused by name") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "fisher.safetensors";
    Mlp model = small_mlp({4, 3, 2}, 1);
    const auto fisher = diagonal_fisher(model, random({5, 4}, 2));
    const FisherInfo info{.points = 5, .dataset = "mnist", .model = model.describe()};
    const auto save = [&] { save_fisher(path, model, fisher, info); };
    const auto refused = [&](Module& network, const std::string& reason) {
      CHECK_THROWS_WITH_AS(load_fisher(path, network), doctest::Contains(reason.c_str()), Error);
      CHECK_THROWS_WITH_AS(load_fisher(path, network), doctest::Contains(path.string().c_str()),
                           Error);
    };
    save();
    Mlp other = small_mlp({4, 3, 2}, 2), wide = small_mlp({4, 6, 2}, 1),
        deep = small_mlp({4, 3, 3, 2}, 1);
    refused(other, "of parameters with SHA-256");
    refused(wide, "\"0.weight\" is (3,4) of float32, expected (6,4)");
    refused(deep, "\"4.weight\" (2,3) is missing");
    Mlp shallow = small_mlp({4, 3}, 1);
    refused(shallow, "\"2.weight\" (2,3) is not in the network");

    change(path, [](Safetensors& file) { file.metadata["fisher.points"] = "5x"; });
    refused(model, "metadata \"fisher.points\" should be a number, found \"5x\"");
    change(path, [](Safetensors& file) { file.metadata["fisher.kind"] = "exact"; });
    refused(model, "unknown Fisher kind \"exact\"");
    change(path, [](Safetensors& file) { file.metadata.erase("fisher.kind"); });
    refused(model, "the metadata have no \"fisher.kind\"");
    change(path, [](Safetensors& file) { file.metadata["understudy.kind"] = "learned-code"; });
    refused(model, "holds a \"learned-code\", expected a \"fisher\"");

    save();
    change(path, [](Safetensors& file) { file.tensors[0].second.mutable_data<float>()[1] = -1; });
    refused(model, "has values below 0 or NaN");
    save();
    change(path, [](Safetensors& file) { file.tensors[0].second.mutable_data<float>()[1] = NAN; });
    refused(model, "has values below 0 or NaN");
    save();
    change(path,
           [](Safetensors& file) { file.tensors[0].second.mutable_data<float>()[1] = INFINITY; });
    refused(model, "has infinite values");
    save_model(path, model);  // weights are no Fisher information
    refused(model, "has values below 0 or NaN");

    CHECK_THROWS_WITH_AS(save_fisher(path, wide, fisher, info), doctest::Contains("0.weight"),
                         Error);
  }
}
