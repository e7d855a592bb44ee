// The metrics of a code, on a case that is small enough to count by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "coding/baselines.h"
#include "coding/evaluation.h"
#include "coding/simulate.h"
#include "engine/ops.h"
#include "kernels/check.h"

using namespace understudy;

namespace {

// Answers with the pixels themselves: a (1, 1, 3) image is its three logits.
struct PixelModel : Module {
  Tensor forward(const Tensor& x) override { return reshape(x, {x.size(0), x.size(3)}); }
  void members(Members&) override {}
};

// 7 images whose brightest channel is class 0, 1, 2, 2, 1, 0, 0.
Dataset hand_made() {
  Dataset data;
  data.name = "hand-made";
  data.classes = 3;
  data.images =
      Tensor::from(std::vector<std::uint8_t>{255, 0,   0, 0,   255, 0, 0,   0, 255, 0, 0, 255,  //
                                             0,   255, 0, 255, 0,   0, 255, 0, 0},
                   {7, 1, 1, 3});
  data.labels = Tensor::from(std::vector<std::int64_t>{0, 1, 2, 0, 1, 0, 0}, {7});
  data.normalization = {{0, 0, 0}, {1, 1, 1}};
  return data;
}

// Decodes a missing answer as a copy of the next unit's (of k), whatever that is.
class Neighbour : public QueryCode {
 public:
  Neighbour() : QueryCode({2, 1}) {}
  std::string name() const override { return "neighbour"; }
  std::int64_t encode_multiply_adds(const Shape&) const override { return 0; }
  std::int64_t decode_multiply_adds(std::int64_t) const override { return 0; }

 protected:
  Tensor encode_groups(const Tensor& groups) override { return slice(groups, 1, 0, 1); }
  Tensor decode_outputs(const Tensor& outputs, const Erasures&) override {
    return concat({slice(outputs, 1, 1, 2), slice(outputs, 1, 0, 1)}, 1);
  }
};

// Asks a + b, a − b and a in place of the data a, b. Every answer is a reconstruction, exact for a
// linear model, but that a is not found without the third worker.
class Mixed : public QueryCode {
 public:
  Mixed() : QueryCode({2, 1}) {}
  std::string name() const override { return "mixed"; }
  bool systematic() const override { return false; }
  Tensor queries(const Tensor& groups) override {
    const Tensor a = slice(groups, 1, 0, 1), b = slice(groups, 1, 1, 2);
    return concat({a + b, a - b, encode(groups)}, 1);
  }
  std::int64_t encode_multiply_adds(const Shape&) const override { return 0; }
  std::int64_t decode_multiply_adds(std::int64_t) const override { return 0; }

 protected:
  Tensor encode_groups(const Tensor& groups) override { return slice(groups, 1, 0, 1); }
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override {
    std::vector<Tensor> decoded;
    for (std::int64_t g = 0; g < erasures.groups(); ++g) {
      const ErasurePattern& pattern = erasures.patterns()[static_cast<std::size_t>(g)];
      const auto y = [&](std::int64_t unit) {
        return slice(slice(outputs, 0, g, g + 1), 1, unit, unit + 1);
      };
      Tensor a = y(2), b = pattern.lost(0) ? y(2) - y(1) : y(0) - y(2);
      if (pattern.lost(2)) {
        a = scale(y(0), 0.0);
        b = scale(y(0) - y(1), 0.5);
      }
      decoded.push_back(concat({a, b}, 1));
    }
    return concat(decoded, 0);
  }
};

// Remembers whether it was ever asked in training mode.
struct ModeModel : PixelModel {
  Tensor forward(const Tensor& x) override {
    asked_in_training = asked_in_training || training();
    return PixelModel::forward(x);
  }
  bool asked_in_training = false;
};

}  // namespace

TEST_SUITE("coding") {
  TEST_CASE("evaluation counts a hand-made case") {
    const Dataset data = hand_made();
    PixelModel base;
    const Tensor outputs = all_outputs(base, data, 2);
    REQUIRE(outputs.shape() == Shape{7, 3});
    CHECK(accuracy(outputs, data.labels) == doctest::Approx(6.0 / 7));

    Neighbour code;
    const auto patterns = standard_patterns(code);
    REQUIRE(patterns == one_data_loss({2, 1}));
    const CodeScore score = evaluate_code(code, base, data, outputs, patterns, {}, 2);
    // Groups (0,1) (2,2) (1,0); the seventh image fills no group. The base model says 0 1 2 2 1 0,
    // the labels are 0 1 2 0 1 0. Only the second group's answers equal their neighbours'.
    CHECK(score.groups == 3);
    CHECK(score.images == 6);
    CHECK(score.erasures() == 6);
    CHECK(score.available_accuracy == doctest::Approx(5.0 / 6));
    CHECK(score.recovery_accuracy() == doctest::Approx(2.0 / 6));
    CHECK(score.overall_accuracy() == doctest::Approx(1.0 / 6));  // image 2 alone
    REQUIRE(score.patterns.size() == 2);
    CHECK(score.patterns[0].recovered == 1);
    CHECK(score.patterns[0].correct == 1);
    CHECK(score.patterns[1].recovered == 1);
    CHECK(score.patterns[1].correct == 0);
    CHECK(score.squared_error == doctest::Approx(4 * 2.0 / 6));
    CHECK(score.accuracy_at(0.1) == doctest::Approx(0.9 * 5 / 6 + 0.1 / 6));
    CHECK(score.accuracy_at(0) == doctest::Approx(5.0 / 6));
    CHECK(score.recovery_accuracy(1) == doctest::Approx(2.0 / 6));
    CHECK(std::isnan(score.recovery_accuracy(2)));
    // Three workers, each as likely to be the one: two answers rebuilt, four as they are.
    CHECK(score.group_accuracy() == doctest::Approx((4 * 5.0 / 6 + 2 * 1.0 / 6) / 6));
    CHECK_THROWS_AS(score.accuracy_at(1.5), Error);

    // An order of images makes other groups: (2,3) and (0,5).
    const CodeScore chosen = evaluate_code(code, base, data, outputs, patterns, {2, 3, 0, 5});
    CHECK(chosen.recovery_accuracy() == 1);
    CHECK_THROWS_AS(evaluate_code(code, base, data, slice(outputs, 0, 0, 3), patterns), Error);
  }

  TEST_CASE("replication loses nothing, and no code is right where the guess is") {
    const Dataset data = hand_made();
    PixelModel base;
    const Tensor outputs = all_outputs(base, data);
    Replication twice(3);
    const auto patterns = standard_patterns(twice);
    CHECK(patterns.size() == 3);
    const CodeScore exact = evaluate_code(twice, base, data, outputs, patterns);
    CHECK(exact.recovery_accuracy() == 1);
    CHECK(exact.overall_accuracy() == exact.available_accuracy);
    CHECK(exact.squared_error == 0);

    NoCode nothing(1, majority_class(data.labels, 3));
    const CodeScore guess = evaluate_code(nothing, base, data, outputs, standard_patterns(nothing));
    CHECK(guess.erasures() == 7);
    CHECK(guess.overall_accuracy() == doctest::Approx(4.0 / 7));
    CHECK(guess.recovery_accuracy() == doctest::Approx(3.0 / 7));
  }

  TEST_CASE("every answer of a code that is not systematic is a reconstruction") {
    const Dataset data = hand_made();
    PixelModel base;
    const Tensor outputs = all_outputs(base, data);
    Mixed code;
    const auto patterns = standard_patterns(code);
    REQUIRE(patterns == std::vector<ErasurePattern>{{0}, {1}, {2}});
    const CodeScore score = evaluate_code(code, base, data, outputs, patterns, {}, 2);
    // 3 groups of 2 under 3 patterns. The model says 0 1, 2 2, 1 0, the labels are 0 1, 2 0, 1 0.
    CHECK(score.erasures() == 18);
    for (int lost : {0, 1}) {
      const PatternScore& exact = score.patterns[static_cast<std::size_t>(lost)];
      CHECK(exact.rows == 6);
      CHECK(exact.recovered == 6);
      CHECK(exact.correct == 5);
    }
    // Without the third worker a is all zeros, which is class 0.
    CHECK(score.patterns[2].rows == 6);
    CHECK(score.patterns[2].recovered == 3 + 1);
    CHECK(score.patterns[2].correct == 2 + 1);
    CHECK(score.squared_error == doctest::Approx(3.0 / 18));
    // With all three workers a and b are exact.
    CHECK(score.model_accuracy == doctest::Approx(5.0 / 6));
    CHECK(score.available_accuracy == doctest::Approx(5.0 / 6));
    CHECK(score.calibration.count() == 18);
    CHECK(score.group_accuracy() == doctest::Approx((5 + 5 + 3) / 18.0));
  }

  TEST_CASE("answers: nonsense counts as missing, and too much missing cannot be recovered") {
    Neighbour code;
    const float nan = std::nanf("");
    const float infinity = std::numeric_limits<float>::infinity();
    const Tensor outputs = Tensor::from(
        std::vector<float>{
            1,        2, nan, 4,         5, 6,   // unit 1 is nonsense
            infinity, 2, nan, 4,         5, 6,   // units 0 and 1 are
            1,        2, 3,   4,         5, 6,   // unit 0 is missing
            1,        2, 3,   -infinity, 5, 6},  // unit 0 is missing, unit 1 nonsense
        {4, 3, 2});
    const std::vector<float> answers = code.answer(outputs, {{}, {}, {0}, {0}}).to_vector<float>();
    CHECK(std::vector<float>(answers.begin(), answers.begin() + 4) ==
          std::vector<float>{1, 2, 1, 2});
    for (int i = 4; i < 8; ++i) CHECK(std::isnan(answers[i]));
    CHECK(std::vector<float>(answers.begin() + 8, answers.begin() + 12) ==
          std::vector<float>{3, 4, 3, 4});
    for (int i = 12; i < 16; ++i) CHECK(std::isnan(answers[i]));

    // Every answer of a code that is not systematic is lost with the group.
    Mixed mixed;
    const Tensor row = Tensor::from(std::vector<float>{nan, 1, 2, 3, 4, 5}, {1, 3, 2});
    const std::vector<float> two_lost = mixed.answer(row, {{2}}).to_vector<float>();
    for (const float value : two_lost) CHECK(std::isnan(value));
    const std::vector<float> one_lost = mixed.answer(row, {{}}).to_vector<float>();
    CHECK(one_lost == std::vector<float>{4, 5, 4 - 2, 5 - 3});
  }

  TEST_CASE("an evaluation counts what cannot be recovered as wrong") {
    const Dataset data = hand_made();
    PixelModel base;
    Tensor outputs = all_outputs(base, data);
    outputs.mutable_data<float>()[0] = std::nanf("");  // the model fails on image 0
    Neighbour code;
    const CodeScore score = evaluate_code(code, base, data, outputs, standard_patterns(code));
    // In the first group nothing is left when image 1's answer is missing, too.
    CHECK(score.unrecovered == 1);
    CHECK(score.erasures() == 6);
    CHECK(score.patterns[1].correct == 0);
    CHECK(score.calibration.count() == 6);
    CHECK(score.calibration.bins()[0].count == 1);
    CHECK(std::isfinite(score.squared_error));
  }

  TEST_CASE("an evaluation asks in evaluation mode and puts the mode back") {
    const Dataset data = hand_made();
    ModeModel base;
    const Tensor outputs = all_outputs(base, data);
    Neighbour code;
    evaluate_code(code, base, data, outputs, standard_patterns(code));
    CHECK(!base.asked_in_training);
    CHECK(base.training());
    base.eval();
    evaluate_code(code, base, data, outputs, standard_patterns(code));
    CHECK(!base.training());
  }

  TEST_CASE("a row of NaN is right about nothing") {
    const Tensor outputs = Tensor::from(std::vector<float>{std::nanf(""), 0, 1, 0, 1, 0}, {2, 3});
    const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 1}, {2});
    CHECK(accuracy(outputs, labels) == 0.5);
    CHECK(predicted_classes(outputs) == std::vector<std::int64_t>{-1, 1});
    CHECK(count_agreeing({-1, 1}, {-1, 1}) == 1);
    CHECK_THROWS_AS(count_agreeing({1}, {1, 1}), Error);

    // A base model that fails on an image is wrong about it, and its answer cannot be recovered.
    const Dataset data = hand_made();
    PixelModel base;
    Tensor answers = all_outputs(base, data);
    for (int c = 0; c < 3; ++c) answers.mutable_data<float>()[c] = std::nanf("");
    Replication twice(2);
    const CodeScore score =
        evaluate_code(twice, base, data, answers, standard_patterns(twice), {0, 1});
    CHECK(score.available_accuracy == 0.5);
    CHECK(score.recovery_accuracy() < 1);
  }
}
