// Parity models: what they are asked, what they learn, and what is made of their answers, each
// against plain loops in double.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "coding/parity/parity_models.h"
#include "coding/simulate.h"
#include "coding/training.h"
#include "coding_tensors.h"
#include "engine/autograd.h"
#include "kernels/check.h"
#include "models/registry.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

namespace {

ParityModels make_code(CodeShape shape, ParityInput input, const Shape& image,
                       const std::string& base, std::int64_t classes) {
  Generator generator(1);
  return ParityModels({.shape = shape,
                       .input = input,
                       .image = image,
                       .classes = classes,
                       .base = {.model = base, .sha256 = ""}},
                      generator);
}

ParityModels make_sum(CodeShape shape, const std::string& base = "logistic 6-4") {
  return make_code(shape, ParityInput::sum, {2, 3, 1}, base, 4);
}

double weight(int m, std::int64_t i) { return std::pow(static_cast<double>(i + 1), m); }

std::vector<double> widened(const Tensor& x) {
  return cast(x.detach(), DType::f64).to_vector<double>();
}

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("parity inputs are sums by rows of a Vandermonde matrix") {
    const int G = 2, k = 3, r = 3, d = 6;
    ParityModels code = make_sum({k, r});
    const Tensor groups = random({G, k, 2, 3, 1}, 1);
    const Tensor parities = code.encode(groups);
    REQUIRE(parities.shape() == Shape{G, r, 2, 3, 1});
    const auto x = widened(groups), have = widened(parities);
    double worst = 0;
    for (int g = 0; g < G; ++g)
      for (int m = 0; m < r; ++m)
        for (int p = 0; p < d; ++p) {
          double want = 0;
          for (int i = 0; i < k; ++i) want += weight(m, i) * x[(g * k + i) * d + p];
          worst = std::max(worst, std::abs(want - have[(g * r + m) * d + p]));
        }
    CHECK(worst <= 1e-5);
    CHECK(code.encode_multiply_adds({2, 3, 1}) == k * r * d);
  }

  TEST_CASE("images side by side: two and four as published, others in a mosaic") {
    const int G = 2, C = 3;
    struct Case {
      int k, H, W, rows, columns, r;
    };
    for (const Case& c : {Case{2, 3, 4, 1, 2, 1}, Case{2, 5, 7, 1, 2, 1}, Case{4, 4, 6, 2, 2, 1},
                          Case{4, 3, 2, 2, 2, 2}, Case{3, 2, 6, 1, 3, 1}, Case{5, 5, 7, 2, 3, 2},
                          Case{6, 4, 6, 2, 3, 1}, Case{10, 7, 9, 3, 4, 1}}) {
      CAPTURE(c.k);
      CAPTURE(c.W);
      ParityModels code =
          make_code({c.k, c.r}, ParityInput::concat, {c.H, c.W, C}, "resnet18 3-2-4-10", 10);
      const Tensor groups = random({G, c.k, c.H, c.W, C}, 2);
      const Tensor parities = code.encode(groups);
      REQUIRE(parities.shape() == Shape{G, c.r, c.H, c.W, C});
      const auto x = widened(groups), have = widened(parities);
      const int h = c.H / c.rows, w = c.W / c.columns;
      double worst = 0;
      std::size_t at = 0;
      for (int g = 0; g < G; ++g)
        for (int m = 0; m < c.r; ++m)
          for (int y = 0; y < c.H; ++y)
            for (int column = 0; column < c.W; ++column)
              for (int channel = 0; channel < C; ++channel, ++at) {
                const int image = (y / h) * c.columns + column / w;
                double want = 0;  // the mean of rows × columns pixels of that image
                if (y < c.rows * h && column < c.columns * w && image < c.k)
                  for (int dy = 0; dy < c.rows; ++dy)
                    for (int dx = 0; dx < c.columns; ++dx) {
                      const int from_y = (y % h) * c.rows + dy,
                                from_x = (column % w) * c.columns + dx;
                      want += x[(((g * c.k + image) * c.H + from_y) * c.W + from_x) * C + channel] /
                              (c.rows * c.columns);
                    }
                worst = std::max(worst, std::abs(want - have[at]));
              }
      CHECK(worst <= 1e-6);
      CHECK(code.encode_multiply_adds({c.H, c.W, C}) == c.k * c.H * c.W * C);
      CHECK_THROWS_AS(code.encode(random({G, c.k, c.H + 2, c.W, C}, 2)), Error);
    }
  }

  TEST_CASE("affine parity models recover every pattern exactly") {
    NoGradGuard no_grad;
    for (const CodeShape shape : {CodeShape{2, 1}, CodeShape{3, 2}, CodeShape{4, 3}}) {
      CAPTURE(shape.k);
      ParityModels code = make_sum(shape);
      Generator generator(3);
      const auto base = make_model("logistic 6-4", generator);
      // F(x) = Wx + b: the sum with weights w is answered by the same W and b·Σw.
      const std::vector<NamedTensor> of_base = base->state_dict();
      for (int m = 0; m < shape.r; ++m) {
        double total = 0;
        for (int i = 0; i < shape.k; ++i) total += weight(m, i);
        code.parity_model(m)->load_state_dict(
            {of_base[0], {of_base[1].name, of_base[1].tensor * total}});
      }
      const int G = 3;
      const Tensor groups = random({G, shape.k, 2, 3, 1}, 4);
      const Tensor outputs = ask_workers(code, *base, groups);
      const Tensor truth = slice(outputs, 1, 0, shape.k);
      for (const ErasurePattern& pattern : all_patterns(shape, shape.r)) {
        const Erasures erasures(shape, std::vector<ErasurePattern>(G, pattern), shape.r);
        CAPTURE(to_string(pattern, shape));
        CHECK(largest_difference(code.complete(outputs, erasures), truth) <= 1e-3);
      }
    }
  }

  TEST_CASE("what is missing is solved for by subtraction and by least squares") {
    const int C = 4;
    NoGradGuard no_grad;
    ParityModels one = make_sum({3, 1});
    Tensor outputs = random({1, 4, C}, 5);
    auto y = widened(outputs);
    auto have = widened(one.decode(outputs, Erasures({3, 1}, {{1}}, 1)));
    for (int c = 0; c < C; ++c)
      CHECK(std::abs(have[C + c] - (y[3 * C + c] - y[c] - y[2 * C + c])) <= 1e-5);

    // Two equations for one unknown: p0 = x0 + x1, p1 = x0 + 2·x1, the first unit missing.
    ParityModels two = make_sum({2, 2});
    outputs = random({1, 4, C}, 6);
    y = widened(outputs);
    have = widened(two.decode(outputs, Erasures({2, 2}, {{0}}, 2)));
    for (int c = 0; c < C; ++c) {
      const double first = y[2 * C + c] - y[C + c], second = y[3 * C + c] - 2 * y[C + c];
      CHECK(std::abs(have[c] - (first + second) / 2) <= 1e-5);
    }
    // The second: p0 − x0 and (p1 − x0) / 2, of which least squares believes the larger weight.
    have = widened(two.decode(outputs, Erasures({2, 2}, {{1}}, 2)));
    for (int c = 0; c < C; ++c) {
      const double first = y[2 * C + c] - y[c], second = y[3 * C + c] - y[c];
      CHECK(std::abs(have[C + c] - (first + 2 * second) / 5) <= 1e-5);
    }
    // Both: two equations for two unknowns.
    have = widened(two.decode(outputs, Erasures({2, 2}, {{0, 1}}, 2)));
    for (int c = 0; c < C; ++c) {
      const double p0 = y[2 * C + c], p1 = y[3 * C + c];
      CHECK(std::abs(have[c] - (2 * p0 - p1)) <= 1e-5);
      CHECK(std::abs(have[C + c] - (p1 - p0)) <= 1e-5);
    }
    // A parity that did not answer is no equation.
    have = widened(two.decode(outputs, Erasures({2, 2}, {{0, 2}}, 2)));
    for (int c = 0; c < C; ++c) CHECK(std::abs(have[c] - (y[3 * C + c] - 2 * y[C + c])) <= 1e-5);
  }

  TEST_CASE("parity models learn the sums of the base model's answers") {
    const int G = 3, k = 2, r = 2, C = 4;
    ParityModels code = make_sum({k, r}, "mlp 6-8-4");
    Generator generator(7);
    const auto base = make_model("mlp 6-8-4", generator);
    const Tensor images = random({G * k, 2, 3, 1}, 8);
    const GroupBatch batch =
        as_groups(images, (*base)(images).detach(), Tensor::zeros({G * k}, DType::i64), k);
    const std::vector<ErasurePattern> patterns = all_patterns(code.shape(), r, true);
    CodeTrainer trainer(code, *base, patterns, {.lr = 1e-2});

    const auto x = widened(batch.groups), y = widened(batch.data_outputs);
    double want = 0;
    for (int m = 0; m < r; ++m) {
      Tensor parity = Tensor::zeros({G, 2, 3, 1});
      auto p = parity.mutable_data<float>();
      for (int g = 0; g < G; ++g)
        for (int i = 0; i < k; ++i)
          for (int at = 0; at < 6; ++at)
            p[g * 6 + at] += static_cast<float>(weight(m, i) * x[(g * k + i) * 6 + at]);
      const auto answer = widened((*code.parity_model(m))(parity));
      for (int g = 0; g < G; ++g)
        for (int c = 0; c < C; ++c) {
          double sum = 0;
          for (int i = 0; i < k; ++i) sum += weight(m, i) * y[(g * k + i) * C + c];
          want += std::pow(answer[g * C + c] - sum, 2) / (G * C);
        }
    }
    CHECK(std::abs(trainer.loss(batch).item() - want) <= 1e-4 * want);

    REQUIRE(trainer.optimizers().size() == 2);
    CHECK(trainer.optimizers()[1].part == "parity1");
    const auto before = base->parameters()[0].to_vector<float>();
    double last = 0;
    for (int step = 0; step < 300; ++step) last = trainer.step(batch);
    CHECK(last < 0.02 * want);
    CHECK(base->parameters()[0].to_vector<float>() == before);
    CHECK_THROWS_WITH_AS(
        code.training_loss(*base, batch, Erasures::scenarios(code.shape(), patterns, G, r),
                           CodeLoss::kl_base),
        doctest::Contains("got kl"), UsageError);
  }

  TEST_CASE("parity models with batch norm train in training mode, the base model does not") {
    const std::string architecture = "resnet18 1-2-4-4";
    ParityModels code = make_code({2, 1}, ParityInput::sum, {4, 4, 1}, architecture, 4);
    Generator generator(9);
    const auto base = make_model(architecture, generator);
    CodeTrainer trainer(code, *base, one_data_loss({2, 1}), {});
    CHECK(code.parity_model(0)->training());
    CHECK(!base->training());
    const auto statistics = [](Module& model) {
      return model.named_buffers()[0].tensor.to_vector<float>();
    };
    const auto of_code = statistics(*code.parity_model(0)), of_base = statistics(*base);
    const Tensor images = random({8, 4, 4, 1}, 10);
    const GroupBatch batch =
        as_groups(images, (*base)(images).detach(), Tensor::zeros({8}, DType::i64), 2);
    trainer.step(batch);
    CHECK(statistics(*code.parity_model(0)) != of_code);
    CHECK(statistics(*base) == of_base);
    {
      const CodeEvaluationGuard evaluation(code, *base);
      CHECK(!code.parity_model(0)->training());
    }
    CHECK(code.parity_model(0)->training());
  }

  TEST_CASE("parity models that cannot be are refused with what was given") {
    const auto refused = [](CodeShape shape, const Shape& image, const char* text,
                            ParityInput input = ParityInput::concat,
                            const char* base = "logistic 6-4") {
      CAPTURE(text);
      CHECK_THROWS_WITH_AS(make_code(shape, input, image, base, 4), doctest::Contains(text),
                           UsageError);
    };
    refused({3, 1}, {4, 2, 1}, "k = 3 images averages windows of 1×3 pixels; the images are 4×2");
    refused({4, 1}, {1, 5, 1}, "1×5");
    refused({2, 1}, {4, 1, 1}, "4×1");
    refused({2, 0}, {4, 4, 1}, "r = 0", ParityInput::sum);
    refused({2, 1}, {4, 4}, "(4,4)");
    refused({2, 1}, {4, 4, 1}, "tree", ParityInput::sum, "tree 4-4");
    CHECK_THROWS_WITH_AS(make_code({2, 1}, ParityInput::sum, {4, 4, 1}, "logistic 6-5", 4),
                         doctest::Contains("5 classes, 4 expected"), Error);
    CHECK_THROWS_AS(parity_input("product"), UsageError);
  }
}
