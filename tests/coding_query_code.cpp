// Codes over queries: masks that stop NaN, the baselines, and the learned networks by value.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "coding/baselines.h"
#include "coding/cost.h"
#include "coding/learned/learned_code.h"
#include "coding/learned/mlp_decoder.h"
#include "coding/learned/mlp_encoder.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/mlp.h"
#include "models/registry.h"

using namespace understudy;

namespace {

Tensor random(const Shape& shape, std::uint64_t seed) {
  Generator generator(seed, Stream::test);
  Tensor x = Tensor::empty(shape);
  fill_uniform(x, generator, -1, 1);
  return x;
}

// x (rows, in) · wᵀ + b, then ReLU where asked for; plain loops, in double.
std::vector<double> affine(const std::vector<double>& x, std::int64_t rows, const Linear& layer,
                           bool relu) {
  const auto w = layer.weight.to_vector<float>();
  const auto b = layer.bias.to_vector<float>();
  const std::int64_t in = layer.in(), out = layer.out();
  std::vector<double> y(static_cast<std::size_t>(rows * out));
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t o = 0; o < out; ++o) {
      double total = b[o];
      for (std::int64_t j = 0; j < in; ++j) total += x[i * in + j] * double{w[o * in + j]};
      y[i * out + o] = relu && total < 0 ? 0 : total;
    }
  return y;
}

std::vector<double> widened(const Tensor& x) {
  const auto values = x.to_vector<float>();
  return {values.begin(), values.end()};
}

double largest_difference(const Tensor& have, const std::vector<double>& want) {
  const std::vector<double> values = widened(have);
  REQUIRE(values.size() == want.size());
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double difference = std::abs(values[i] - want[i]);
    if (std::isnan(difference)) return difference;
    worst = std::max(worst, difference);
  }
  return worst;
}

// Weights that N(0, 0.01²) would leave too small to tell layouts apart.
void enlarge(Module& module, std::uint64_t seed) {
  Generator generator(seed, Stream::test);
  for (Tensor& parameter : module.parameters()) {
    parameter.set_requires_grad(false);
    fill_uniform(parameter, generator, -0.5, 0.5);
    parameter.set_requires_grad(true);
  }
}

LearnedCode make_code(CodeShape shape, Shape image, std::int64_t classes,
                      ChannelLayout channels = ChannelLayout::aligned) {
  Generator generator(1);
  return LearnedCode({.shape = shape, .channels = channels, .image = image, .classes = classes},
                     generator);
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("MlpEncoder is two affine maps of the flattened group") {
    Generator generator(3);
    MlpEncoder encoder({.k = 3, .r = 2}, 2, 4, generator);
    enlarge(encoder, 4);
    const Tensor planes = random({5, 3, 2, 4}, 5);
    const Tensor parity = encoder(planes);
    CHECK(parity.shape() == Shape{5, 2, 2, 4});
    const auto hidden = affine(widened(planes), 5, encoder.fc1, true);
    CHECK(largest_difference(parity, affine(hidden, 5, encoder.fc2, false)) <= 1e-5);
    CHECK(encoder.multiply_adds(2, 4) == 24 * 24 + 24 * 16);
    CHECK_THROWS_AS(encoder(random({5, 2, 2, 4}, 5)), Error);
    CHECK_THROWS_AS(encoder(random({5, 3, 4, 2}, 5)), Error);
  }

  TEST_CASE("MlpDecoder is three affine maps of the outputs side by side") {
    Generator generator(3);
    MlpDecoder decoder({.k = 3, .r = 1}, 5, generator);
    enlarge(decoder, 6);
    const Tensor outputs = random({7, 4, 5}, 7);
    const Tensor decoded = decoder(outputs);
    CHECK(decoded.shape() == Shape{7, 3, 5});
    auto x = affine(widened(outputs), 7, decoder.fc1, true);
    x = affine(x, 7, decoder.fc2, true);
    CHECK(largest_difference(decoded, affine(x, 7, decoder.fc3, false)) <= 1e-4);
    CHECK(decoder.multiply_adds() == 20 * 20 + 20 * 15 + 15 * 15);
    CHECK_THROWS_AS(decoder(random({7, 4, 6}, 7)), Error);
  }

  TEST_CASE("learned networks have the published sizes and start") {
    LearnedCode two = make_code({2, 1}, {28, 28, 1}, 10);
    CHECK(two.encoder().parameter_count() == 3690288);
    CHECK(two.decoder().parameter_count() == 1970);
    CHECK(two.encode_multiply_adds({28, 28, 1}) == 1568 * 1568 + 1568 * 784);
    const Tensor weight = two.named_parameters()[0].tensor;
    CHECK(two.named_parameters()[0].name == "encoder.fc1.weight");
    const double variance = mean(square(weight.detach())).item();
    CHECK(std::abs(std::sqrt(variance) - 0.01) <= 1e-4);
    double bias = 0;
    for (const NamedTensor& named : two.named_parameters())
      if (named.name.ends_with("bias")) bias += sum(abs(named.tensor.detach())).item();
    CHECK(bias == 0);
    CHECK(make_code({5, 1}, {8, 8, 1}, 10).decoder().parameter_count() == 9260);
  }

  TEST_CASE("colour planes: aligned as in the paper, interleaved as in the published code") {
    const std::int64_t G = 3, k = 2, H = 2, W = 3, C = 3;
    const Tensor groups = random({G, k, H, W, C}, 8);
    const auto pixel = groups.to_vector<float>();
    const auto at = [&](std::int64_t g, std::int64_t i, std::int64_t p, std::int64_t c) {
      return double{pixel[((g * k + i) * H * W + p) * C + c]};
    };
    for (const ChannelLayout layout : {ChannelLayout::aligned, ChannelLayout::interleaved}) {
      LearnedCode code = make_code({2, 1}, {H, W, C}, 4, layout);
      enlarge(code, 9);
      const Tensor parities = code.encode(groups);
      REQUIRE(parities.shape() == Shape{G, 1, H, W, C});
      const auto parity = parities.to_vector<float>();
      auto& encoder = dynamic_cast<MlpEncoder&>(code.encoder());
      double worst = 0;
      for (std::int64_t g = 0; g < G; ++g)
        for (std::int64_t c = 0; c < C; ++c) {
          std::vector<double> planes;  // the k planes that make parity channel c
          for (std::int64_t i = 0; i < k; ++i) {
            // Planes in the order x1 R, x1 G, x1 B, x2 R, ...: k in a row for each channel.
            const std::int64_t consecutive = c * k + i;
            const bool aligned = layout == ChannelLayout::aligned;
            for (std::int64_t p = 0; p < H * W; ++p)
              planes.push_back(aligned ? at(g, i, p, c)
                                       : at(g, consecutive / C, p, consecutive % C));
          }
          const auto want = affine(affine(planes, 1, encoder.fc1, true), 1, encoder.fc2, false);
          for (std::int64_t p = 0; p < H * W; ++p)
            worst = std::max(worst, std::abs(want[p] - parity[(g * H * W + p) * C + c]));
        }
      CHECK(worst <= 1e-5);
    }
  }

  TEST_CASE("a missing answer goes nowhere, not even as NaN") {
    LearnedCode code = make_code({2, 1}, {3, 3, 1}, 4);
    enlarge(code, 10);
    const Tensor outputs = random({2, 3, 4}, 11);
    const Erasures erasures(code.shape(), {{1}, {0}}, 1);
    Tensor poisoned = clone(outputs);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    slice(slice(poisoned, 0, 0, 1), 1, 1, 2).fill_(nan);
    slice(slice(poisoned, 0, 1, 2), 1, 0, 1).fill_(std::numeric_limits<float>::infinity());
    Tensor zeroed = clone(outputs);
    slice(slice(zeroed, 0, 0, 1), 1, 1, 2).fill_(0);
    slice(slice(zeroed, 0, 1, 2), 1, 0, 1).fill_(0);
    const auto expected = code.decode(zeroed, Erasures(code.shape(), {{}, {}}, 1));
    CHECK(code.decode(poisoned, erasures).to_vector<float>() == expected.to_vector<float>());

    // complete() keeps what arrived and takes the reconstruction for the rest.
    const auto complete = code.complete(poisoned, erasures).to_vector<float>();
    const auto arrived = outputs.to_vector<float>(), decoded = expected.to_vector<float>();
    for (int c = 0; c < 4; ++c) {
      CHECK(complete[c] == arrived[c]);            // group 0, unit 0 answered
      CHECK(complete[4 + c] == decoded[4 + c]);    // group 0, unit 1 did not
      CHECK(complete[8 + c] == decoded[8 + c]);    // group 1, unit 0 did not
      CHECK(complete[12 + c] == arrived[16 + c]);  // group 1, unit 1 answered
    }

    // The gradient through a missing answer is zero, whatever it holds.
    poisoned.set_requires_grad(true);
    sum(code.decode(poisoned, erasures)).backward();
    const auto gradient = poisoned.grad().to_vector<float>();
    for (int c = 0; c < 4; ++c) {
      CHECK(gradient[4 + c] == 0);
      CHECK(gradient[12 + c] == 0);
    }
    double flow = 0;
    for (float value : gradient) flow += std::abs(value);
    CHECK(flow > 0);
    CHECK(std::isfinite(flow));
  }

  TEST_CASE("shapes and erasures that do not belong to the code are refused") {
    LearnedCode code = make_code({2, 1}, {3, 3, 1}, 4);
    CHECK_THROWS_AS(code.encode(random({2, 3, 3, 3, 1}, 1)), Error);
    CHECK_THROWS_AS(code.encode(random({4, 3, 3, 1}, 1)), Error);
    const Erasures other({.k = 3, .r = 1}, {{0}}, 1);
    CHECK_THROWS_AS(code.decode(random({1, 3, 4}, 1), other), Error);
    const Erasures two(code.shape(), {{0}, {1}}, 1);
    CHECK_THROWS_AS(code.decode(random({1, 3, 4}, 1), two), Error);
    CHECK_THROWS_AS(make_code({2, 0}, {3, 3, 1}, 4), UsageError);
    CHECK_THROWS_AS(channel_layout("diagonal"), UsageError);
    Generator generator(1);
    CHECK_THROWS_AS(LearnedCode({.encoder = "quantum", .image = {3, 3, 1}}, generator), UsageError);
  }

  TEST_CASE("replication is exact and no code guesses") {
    Replication twice(3);
    CHECK(twice.shape() == CodeShape{3, 3});
    CHECK(twice.most_losses() == 1);
    const Tensor groups = random({2, 3, 2, 2, 1}, 12);
    CHECK(twice.encode(groups).to_vector<float>() == groups.to_vector<float>());
    Generator generator(2);
    Mlp base({4, 5}, generator);
    NoGradGuard no_grad;
    const Tensor outputs = ask_workers(twice, base, groups);
    REQUIRE(outputs.shape() == Shape{2, 6, 5});
    const Tensor truth = slice(outputs, 1, 0, 3);
    Tensor lost = clone(outputs);
    slice(slice(lost, 0, 0, 1), 1, 2, 3).fill_(std::nan(""));
    const Erasures erasures(twice.shape(), {{2}, {4}}, 1);
    CHECK(twice.complete(lost, erasures).to_vector<float>() == truth.to_vector<float>());

    Replication thrice(2, 2);
    const Tensor three = random({1, 6, 4}, 13);
    const auto second = thrice.decode(three, Erasures(thrice.shape(), {{0, 2}}, 2));
    CHECK(slice(second, 1, 0, 1).to_vector<float>() ==
          slice(three, 1, 4, 5).to_vector<float>());  // the second copy of unit 0

    NoCode nothing(2, 3);
    const Tensor guess =
        nothing.decode(random({2, 2, 5}, 14), Erasures(nothing.shape(), {{0, 1}, {1}}, 2));
    CHECK(argmax(guess).to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 3, 3, 3});
    CHECK(nothing.encode(random({2, 2, 2, 2, 1}, 1)).shape() == Shape{2, 0, 2, 2, 1});
    const Tensor labels = Tensor::from(std::vector<std::int64_t>{2, 0, 2, 1, 0, 2}, {6});
    CHECK(majority_class(labels, 3) == 2);
    CHECK_THROWS_AS(majority_class(labels, 2), Error);
  }

  TEST_CASE("a code's file describes itself") {
    LearnedCode code = make_code({2, 1}, {4, 5, 3}, 6, ChannelLayout::interleaved);
    enlarge(code, 15);
    const Safetensors content = code.to_safetensors();
    const auto again =
        read_learned_code(parse_safetensors(format_safetensors(content), "code"), "code");
    CHECK(again->options().shape == CodeShape{2, 1});
    CHECK(again->options().image == Shape{4, 5, 3});
    CHECK(again->options().classes == 6);
    CHECK(again->options().channels == ChannelLayout::interleaved);
    const Tensor groups = random({2, 2, 4, 5, 3}, 16);
    NoGradGuard no_grad;
    CHECK(again->encode(groups).to_vector<float>() == code.encode(groups).to_vector<float>());

    Safetensors wrong = content;
    wrong.metadata["understudy.k"] = "3";
    CHECK_THROWS_AS(read_learned_code(wrong, "code"), Error);
    // A small file cannot ask for large networks: every tensor is looked at first.
    wrong = content;
    wrong.metadata["understudy.classes"] = "20000";
    CHECK_THROWS_WITH_AS(read_learned_code(wrong, "code"),
                         doctest::Contains("code: \"decoder.fc1.weight\" is (18,18)"), Error);
    wrong = content;
    wrong.metadata["understudy.r"] = "60";
    CHECK_THROWS_WITH_AS(read_learned_code(wrong, "code"), doctest::Contains("code: \"encoder.fc2"),
                         Error);
    wrong = content;
    wrong.metadata["understudy.r"] = "2000000000";
    CHECK_THROWS_WITH_AS(read_learned_code(wrong, "code"), doctest::Contains("code: a code needs"),
                         Error);
    wrong = content;
    std::erase_if(wrong.tensors,
                  [](const auto& named) { return named.first == "decoder.fc3.bias"; });
    CHECK_THROWS_WITH_AS(read_learned_code(wrong, "code"),
                         doctest::Contains("code: \"decoder.fc3.bias\" is not there"), Error);
    wrong = content;
    wrong.metadata["understudy.k"] = "-2";
    CHECK_THROWS_AS(read_learned_code(wrong, "code"), Error);
    wrong.metadata.clear();
    CHECK_THROWS_AS(read_learned_code(wrong, "code"), Error);
  }

  TEST_CASE("costs") {
    CHECK(extra_machines_percent({5, 1}) == 20);
    CHECK(extra_machines_percent({2, 2}) == 100);
    CHECK(cost_in_words({2, 1}) ==
          "50.0 % extra machines (1 parity for 2 queries); replication: 100 %");
    CHECK(cost_in_words({5, 2}) ==
          "40.0 % extra machines (2 parities for 5 queries); replication: 200 %");
    Generator generator(1);
    Mlp base({784, 200, 100, 10}, generator);
    CHECK(multiply_adds(base, {28, 28, 1}) == 784 * 200 + 200 * 100 + 100 * 10);
    // As published: ResNet-18 322 million for 28×28, 555 for 32×32 in three colours; a network of a
    // quarter of the width has a sixteenth of them but for its stem and last layer.
    const auto cost = [&](const Shape& image, bool batch_norm) {
      const auto model = make_model(
          {.name = "resnet18", .input = image, .width = 16, .batch_norm = batch_norm}, generator);
      return multiply_adds(*model, image).value_or(0);
    };
    const auto wide = [](std::int64_t cost, std::int64_t stem, std::int64_t fc) {
      return 16 * (cost - stem - fc) + 4 * (stem + fc);
    };
    const std::int64_t grey = cost({28, 28, 1}, true), rgb = cost({32, 32, 3}, true);
    CHECK(std::llround(1e-6 * double(wide(grey, 784 * 9 * 16, 64 * 10))) == 322);
    CHECK(std::llround(1e-6 * double(wide(rgb, 1024 * 27 * 16, 128 * 10))) == 555);
    CHECK(cost({32, 32, 3}, false) == rgb);
    LearnedCode code = make_code({2, 1}, {4, 4, 1}, 3);
    const CodeTiming timing = measure_code(code, {4, 4, 1}, 3, 4, 3);
    CHECK(timing.encode_us > 0);
    CHECK(timing.decode_us_in_batch > 0);
    CHECK(timing.batch == 4);
  }
}
