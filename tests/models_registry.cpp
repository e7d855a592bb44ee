// Models by name and description, and as files.
#include "models/registry.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
#include "models/model_file.h"
#include "tests/reference/mlp.h"
#include "tests/temporary_folder.h"

using namespace understudy;

namespace {

Tensor ramp(const Shape& shape) {
  std::vector<float> v(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i % 7) / 7 - 0.4f;
  return Tensor::from(v, shape);
}

}  // namespace

TEST_SUITE("models") {
  TEST_CASE("models are made by name for the data at hand") {
    Generator g(1);
    CHECK(model_names() == std::vector<std::string>{"mlp", "logistic", "resnet18"});
    const auto describe = [&](const ModelRequest& request) {
      return make_model(request, g)->describe();
    };
    CHECK(describe({.name = "mlp", .input = {28, 28, 1}}) == "mlp 784-200-100-10");
    CHECK(describe({.name = "mlp", .input = {28, 28, 1}, .hidden = {400, 400}}) ==
          "mlp 784-400-400-10");
    CHECK(describe({.name = "mlp", .input = {4, 4, 3}, .classes = 7, .hidden = {5}}) ==
          "mlp 48-5-7");
    CHECK(describe({.name = "logistic", .input = {28, 28, 1}}) == "logistic 784-10");
    CHECK_THROWS_WITH_AS(describe({.name = "resnet99", .input = {28, 28, 1}}),
                         "unknown model \"resnet99\"; there are: mlp, logistic, resnet18",
                         UsageError);
    CHECK_THROWS_WITH_AS(describe({.name = "logistic", .input = {4}, .hidden = {3, 2}}),
                         "[logistic] hidden widths 3,2: this model has none; \"mlp\" has",
                         UsageError);
    CHECK_THROWS_WITH_AS(describe({.name = "mlp", .input = {4}, .classes = 0}),
                         "[mlp] 0 classes: must be at least 1", UsageError);
    CHECK_THROWS_AS(describe({.name = "mlp", .input = {0, 28, 1}}), UsageError);
  }

  TEST_CASE("a description rebuilds its model") {
    for (const char* text :
         {"mlp 784-200-100-10", "mlp 6-4-3", "mlp 6-3", "logistic 6-3", "resnet18 3-4-5-6-8-7",
          "resnet18 1-4-6-8-10 no-batch-norm", "resnet18 3-2-10"}) {
      CAPTURE(text);
      Generator g(3), h(3);
      const auto one = make_model(text, g), two = make_model(text, h), other = make_model(text);
      CHECK(one->describe() == text);
      const auto a = one->state_dict(), b = two->state_dict();
      REQUIRE(a.size() == b.size());
      std::int64_t size = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        CHECK(a[i].name == b[i].name);
        CHECK(a[i].tensor.to_vector<float>() == b[i].tensor.to_vector<float>());
        size += a[i].tensor.count();
      }
      CHECK(size == described_size(text));
      other->load_state_dict(a);
    }
    for (const char* text : {"",
                             "mlp",
                             "mlp ",
                             "mlp 12",
                             "mlp 12-",
                             "mlp -12",
                             "mlp 12--3",
                             "mlp 12,3",
                             "mlp 12-3 ",
                             "mlp 12-0",
                             "mlp 1e3-3",
                             "logistic 4-3-2",
                             "mlp 99999999999999999999-3",
                             "Mlp 12-3",
                             "mlp 12-3 no-batch-norm",
                             "resnet18 3-10",
                             "resnet18 3-0-10",
                             "resnet18 no-batch-norm",
                             "resnet18 3-100000-10",
                             "resnet18 3-1-1-1-1-1-1-1-1-1-10",
                             "resnet18 3-4-10 batch-norm"}) {
      CAPTURE(text);
      CHECK_THROWS_AS(make_model(text), UsageError);
    }
    for (const char* text :
         {"mlp 4000000000-4000000000-10", "resnet18 3-4000000000-10",
          "resnet18 3-1-9223372036854775807-9223372036854775807-10 no-batch-norm"}) {
      CAPTURE(text);
      CHECK(described_size(text) == std::numeric_limits<std::int64_t>::max());
    }
  }

  TEST_CASE("widths are read from a flag") {
    using Widths = std::vector<std::int64_t>;
    CHECK(parse_widths("") == Widths{});
    CHECK(parse_widths("400") == Widths{400});
    CHECK(parse_widths("400,400") == Widths{400, 400});
    CHECK_THROWS_WITH_AS(
        parse_widths("400,x"),
        "widths \"400,x\": whole numbers of at least 1 expected, with ',' between them",
        UsageError);
    CHECK_THROWS_AS(parse_widths("400,"), UsageError);
    CHECK_THROWS_AS(parse_widths("0"), UsageError);
  }

  TEST_CASE("a model goes to a file and back") {
    const TemporaryFolder folder;
    Generator g(4);
    Mlp model({6, 4, 3}, g);
    const auto path = folder.path() / "model.safetensors";
    save_model(path, model, {{"epoch", "3"}});
    CHECK(read_safetensors(path).metadata ==
          std::map<std::string, std::string>{
              {"epoch", "3"}, {"format", "pt"}, {"model", "mlp 6-4-3"}});
    const Tensor x = ramp({5, 6});
    const auto loaded = load_model(path);
    CHECK(loaded->describe() == "mlp 6-4-3");
    CHECK((*loaded)(x).to_vector<float>() == model(x).to_vector<float>());
    CHECK(load_model(path, "mlp 6-4-3")->describe() == "mlp 6-4-3");
    CHECK_THROWS_WITH_AS(
        load_model(path, "mlp 6-5-3"),
        fmt::format("{}: the file holds the model \"mlp 6-4-3\", \"mlp 6-5-3\" expected",
                    path.string())
            .c_str(),
        Error);
  }

  TEST_CASE("a network with convolutions and batch norms goes to a file and back") {
    const TemporaryFolder folder;
    Generator g(4);
    const auto model = make_model("resnet18 3-4-5-7", g);
    (*model)(ramp({2, 6, 6, 3}));  // moves the running statistics
    model->eval();
    const auto path = folder.path() / "model.safetensors";
    save_model(path, *model);
    const Safetensors content = read_safetensors(path);
    CHECK(content.at("layer2.0.conv1.weight").shape() == Shape{5, 4, 3, 3});  // PyTorch's order
    CHECK(content.at("layer2.0.downsample.1.num_batches_tracked").item() == 1);
    const auto loaded = load_model(path);
    CHECK(loaded->describe() == model->describe());
    loaded->eval();
    const Tensor x = ramp({3, 6, 6, 3});
    CHECK((*loaded)(x).to_vector<float>() == (*model)(x).to_vector<float>());
  }

  TEST_CASE("a file that PyTorch wrote gives PyTorch's logits") {
    const auto file =
        std::filesystem::path(__FILE__).parent_path() / "reference" / "mlp.safetensors";
    const auto model = load_model(file, "mlp 6-4-3");
    // values(24, 0, 1.0) of tests/reference/mlp.py
    std::vector<float> v(24);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = (static_cast<float>((37 * i) % 64) - 32) / 32;
    const auto logits = (*model)(Tensor::from(v, {4, 6})).to_vector<double>();
    REQUIRE(logits.size() == std::size(reference::saved_logits));
    for (std::size_t i = 0; i < logits.size(); ++i)
      CHECK(std::abs(logits[i] - reference::saved_logits[i]) <= 1e-6);
    CHECK_THROWS_WITH_AS(
        load_model(file),
        fmt::format("{}: the metadata has no \"model\", so the architecture is not known; give it "
                    "(such as \"mlp 784-200-100-10\") or save the file with that entry",
                    file.string())
            .c_str(),
        Error);
  }

  TEST_CASE(
      "a file whose tensors do not fit its description is refused before memory is asked for") {
    Generator g(5);
    Logistic model(6, 3, g);
    Safetensors content = pack_model(model);
    content.metadata["model"] = "mlp 6-4000000000-3";
    CHECK_THROWS_WITH_AS(unpack_model(content, "a.safetensors"),
                         "a.safetensors: \"mlp 6-4000000000-3\" has 40000000003 values, the file "
                         "holds 21",
                         Error);
    content.metadata["model"] = "resnet18 3-60000-60000-10";
    CHECK_THROWS_WITH_AS(unpack_model(content, "a.safetensors"),
                         doctest::Contains("values, the file holds 21"), Error);
    content.metadata["model"] = "mlp 6-3";
    CHECK_THROWS_WITH_AS(unpack_model(content, "a.safetensors"),
                         "a.safetensors: [load_state_dict] the tensors do not fit the network; "
                         "missing: 0.weight, 0.bias; unexpected: bias, weight",
                         Error);
    content.metadata["model"] = "transformer 3";
    CHECK_THROWS_AS(unpack_model(content, "a.safetensors"), Error);
  }
}
