// Files of trained codes: what is read back, what is refused, and for what a code may be used.
#include "coding/code_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "coding/evaluation.h"
#include "coding/learned/fixed_encoder.h"
#include "coding/learned/learned_code.h"
#include "coding/matrix/parity_rows.h"
#include "coding/parity/parity_models.h"
#include "coding/training.h"
#include "coding_tensors.h"
#include "engine/autograd.h"
#include "kernels/check.h"
#include "models/registry.h"

using namespace understudy;
using understudy::testing::random;

namespace {

Safetensors written_and_read(TrainableCode& code) {
  return parse_safetensors(format_safetensors(code.to_safetensors()), "code");
}

LearnedCode make_learned(const std::string& encoder, CodeShape shape, const Shape& image,
                         const BaseIdentity& base = {}) {
  Generator generator(1);
  return LearnedCode(
      {.shape = shape, .encoder = encoder, .image = image, .classes = 4, .base = base}, generator);
}

ParityModels make_parity(CodeShape shape, ParityInput input = ParityInput::sum) {
  Generator generator(1);
  return ParityModels({.shape = shape,
                       .input = input,
                       .image = {2, 4, 1},
                       .classes = 4,
                       .base = {.model = "mlp 8-5-4", .sha256 = "abc"}},
                      generator);
}

// Both codes, on the same groups: parities, and answers where one is missing.
bool act_alike(TrainableCode& a, TrainableCode& b) {
  NoGradGuard no_grad;
  const Shape& image = a.purpose().image;
  const std::int64_t k = a.shape().k;
  const Tensor groups = random({3, k, image[0], image[1], image[2]}, 2);
  const Tensor outputs = random({3, a.shape().units(), a.purpose().classes}, 3);
  const Erasures erasures(a.shape(), {{0}, {1}, {0}}, 1);
  return a.encode(groups).to_vector<float>() == b.encode(groups).to_vector<float>() &&
         a.decode(outputs, erasures).to_vector<float>() ==
             b.decode(outputs, erasures).to_vector<float>();
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("codes of every kind come back from their files") {
    for (const std::string& encoder : encoder_names()) {
      CAPTURE(encoder);
      const BaseIdentity base = {.model = "mlp 8-4", .sha256 = "123"};
      LearnedCode code = make_learned(encoder, {2, 2}, {2, 2, 2}, base);
      const auto again = read_code(written_and_read(code), "code");
      CHECK(again->name() == "learned (" + encoder + ")");
      CHECK(again->purpose().shape == CodeShape{2, 2});
      CHECK(again->purpose().base.model == "mlp 8-4");
      CHECK(again->purpose().base.sha256 == "123");
      CHECK(act_alike(code, *again));
    }
    for (const ParityInput input : {ParityInput::sum, ParityInput::concat}) {
      ParityModels code = make_parity({2, input == ParityInput::sum ? 3 : 1}, input);
      const auto again = read_code(written_and_read(code), "code");
      CHECK(again->name() == code.name());
      CHECK(act_alike(code, *again));
      const Tensor x = random({5, 2, 4, 1}, 4);
      for (int m = 0; m < code.shape().r; ++m)
        CHECK((*again->parity_model(m))(x).to_vector<float>() ==
              (*code.parity_model(m))(x).to_vector<float>());
    }
  }

  TEST_CASE("a learned decoder on an encoder without parameters") {
    for (const std::string encoder : {"mean", "berrut"}) {
      CAPTURE(encoder);
      const CodeShape shape = {3, 2};
      LearnedCode code = make_learned(encoder, shape, {2, 2, 2});
      REQUIRE(code.parts().size() == 1);
      CHECK(code.parts()[0].name == "decoder");
      const Matrix rows = encoder == "mean" ? mean_rows(shape) : systematic_berrut_rows(shape);
      const Tensor groups = random({2, 3, 2, 2, 2}, 5);
      const auto x = groups.to_vector<float>();
      const auto have = code.encode(groups).to_vector<float>();
      double worst = 0;
      for (int g = 0; g < 2; ++g)
        for (int m = 0; m < 2; ++m)
          for (int p = 0; p < 8; ++p) {
            double want = 0;
            for (int i = 0; i < 3; ++i) want += rows(m, i) * x[(g * 3 + i) * 8 + p];
            worst = std::max(worst, std::abs(want - have[(g * 2 + m) * 8 + p]));
          }
      CHECK(worst <= 1e-6);
      CHECK(code.encode_multiply_adds({2, 2, 2}) == 2 * 3 * 8);

      Generator generator(6);
      const auto base = make_model("logistic 8-4", generator);
      CodeTrainer trainer(code, *base, standard_patterns(code), {.lr = 1e-2});
      const Tensor images = random({12, 2, 2, 2}, 7);
      const GroupBatch batch =
          as_groups(images, (*base)(images).detach(), Tensor::zeros({12}, DType::i64), 3);
      const double first = trainer.step(batch);
      double last = first;
      for (int step = 0; step < 60; ++step) last = trainer.step(batch);
      CHECK(last < 0.7 * first);
    }
  }

  TEST_CASE("files that are no code's, or not whole, are refused") {
    ParityModels code = make_parity({2, 2});
    const Safetensors good = code.to_safetensors();
    const auto refused = [&](const char* text, const auto& change) {
      CAPTURE(text);
      Safetensors wrong = good;
      change(wrong);
      CHECK_THROWS_WITH_AS(read_code(wrong, "code.safetensors"), doctest::Contains(text), Error);
      CHECK_THROWS_WITH_AS(read_code(wrong, "code.safetensors"),
                           doctest::Contains("code.safetensors: "), Error);
    };
    refused("no \"understudy.kind\"", [](Safetensors& file) { file.metadata.clear(); });
    refused("holds a \"merge\"; codes are learned-code, parity-models",
            [](Safetensors& file) { file.metadata["understudy.kind"] = "merge"; });
    refused("\"understudy.parity_input\"",
            [](Safetensors& file) { file.metadata.erase("understudy.parity_input"); });
    refused("unknown parity input \"x\"",
            [](Safetensors& file) { file.metadata["understudy.parity_input"] = "x"; });
    refused("averages windows of 1×2 pixels", [](Safetensors& file) {
      file.metadata["understudy.parity_input"] = "concat";
      file.metadata["understudy.width"] = "1";
    });
    refused("\"understudy.base.model\"",
            [](Safetensors& file) { file.metadata.erase("understudy.base.model"); });
    // A small file cannot ask for large networks.
    refused("3 times \"mlp 8-5-4\" has 69 values each, the file holds 138",
            [](Safetensors& file) { file.metadata["understudy.r"] = "3"; });
    refused("has 9223372036854775807 values each", [](Safetensors& file) {
      file.metadata["understudy.base.model"] = "mlp 4000000000-4000000000-4";
    });
    refused("has 4 classes, 5 expected",
            [](Safetensors& file) { file.metadata["understudy.classes"] = "5"; });
    refused("missing: parity1.2.bias", [](Safetensors& file) {
      std::erase_if(file.tensors,
                    [](const auto& named) { return named.first == "parity1.2.bias"; });
      file.tensors.emplace_back("parity1.more", Tensor::zeros({9}));
    });
  }

  TEST_CASE("the fuzz target's corpus is read and refused as its names say") {
    int files = 0;
    for (const auto& file : std::filesystem::directory_iterator(
             std::filesystem::path(UNDERSTUDY_TEST_FILES) / "fuzz/corpus/code_file")) {
      const std::string name = file.path().filename().string();
      CAPTURE(name);
      ++files;
      const Safetensors content = read_safetensors(file.path());
      if (name.starts_with("bad_"))
        CHECK_THROWS_AS(read_code(content, name), Error);
      else
        CHECK_NOTHROW(read_code(content, name));
    }
    CHECK(files >= 30);
  }

  TEST_CASE("a code made for something else is refused with both values") {
    const CodePurpose made = {.shape = {2, 1},
                              .image = {28, 28, 1},
                              .classes = 10,
                              .base = {.model = "mlp 784-10", .sha256 = std::string(64, 'a')}};
    CHECK(check_purpose(made, made, "code"));
    const auto refused = [&](const char* text, const auto& change) {
      CAPTURE(text);
      CodePurpose here = made;
      change(here);
      CHECK_THROWS_WITH_AS(check_purpose(made, here, "runs/code/model.safetensors"),
                           (std::string("runs/code/model.safetensors: made for ") + text).c_str(),
                           UsageError);
    };
    refused("k = 2, here k = 5", [](CodePurpose& here) { here.shape.k = 5; });
    refused("r = 1, here r = 2", [](CodePurpose& here) { here.shape.r = 2; });
    refused("images (28,28,1), here images (32,32,3)", [](CodePurpose& here) {
      here.image = {32, 32, 3};
    });
    refused("classes = 10, here classes = 100", [](CodePurpose& here) { here.classes = 100; });
    refused("base model mlp 784-10, here base model logistic 784-10",
            [](CodePurpose& here) { here.base.model = "logistic 784-10"; });
    refused("parameters of mlp 784-10 with SHA-256 aaaaaaaaaaaa…, here bbbbbbbbbbbb…",
            [](CodePurpose& here) { here.base.sha256 = std::string(64, 'b'); });

    // A file that says nothing of its base model fits as far as anybody knows.
    CodePurpose unknown = made;
    unknown.base = {};
    CHECK_FALSE(check_purpose(unknown, made, "code"));
    CodePurpose other = made;
    other.shape.k = 5;
    CHECK_THROWS_AS(check_purpose(unknown, other, "code"), UsageError);
  }

  TEST_CASE("a base model's identity is its architecture and its parameters") {
    Generator generator(8);
    const auto a = make_model("mlp 4-3-2", generator), b = make_model("mlp 4-3-2", generator);
    CHECK(identity_of(*a).model == "mlp 4-3-2");
    CHECK(identity_of(*a).sha256.size() == 64);
    CHECK(identity_of(*a).sha256 != identity_of(*b).sha256);
    b->load_state_dict(a->state_dict());
    CHECK(identity_of(*a).sha256 == identity_of(*b).sha256);
  }
}
