// Codes over models: decoding where it is exact, and how its quality is scored.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "coding/evaluation.h"
#include "coding/merging/decode.h"
#include "coding/merging/evaluation.h"
#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/logistic.h"
#include "tests/coding_tensors.h"

using namespace understudy;
using understudy::testing::largest_difference;
using understudy::testing::random;

TEST_SUITE("coding") {
  TEST_CASE("decoding is exact for linear models, for every late one") {
    Generator generator(7);
    std::vector<std::unique_ptr<Logistic>> models;
    MergeProblem problem;
    for (int i = 0; i < 3; ++i) {
      models.push_back(std::make_unique<Logistic>(5, 4, generator));
      problem.models.push_back(models.back().get());
    }
    problem.weights = {0.2, 0.3, 0.5};
    Logistic coded(5, 4, generator);
    merge(problem, "average", coded);
    NoGradGuard no_grad;
    const Tensor x = random({9, 5}, 8);
    std::vector<Tensor> outputs;
    for (const auto& model : models) outputs.push_back((*model)(x));
    for (int late = 0; late < 3; ++late) {
      std::vector<Tensor> known = outputs;
      known[static_cast<std::size_t>(late)] = {};
      const Tensor decoded = decode_model(coded(x), known, problem.weights, late);
      CHECK(largest_difference(decoded, outputs[static_cast<std::size_t>(late)]) <= 1e-5);
    }
  }

  TEST_CASE("decoding is timed by the query") {
    const DecodingTiming timing = measure_decoding({0.25, 0.75}, 10, 4, 3);
    CHECK(timing.batch == 4);
    CHECK(timing.decode_us > 0);
    CHECK(timing.decode_us_in_batch > 0);
    CHECK_THROWS_AS(measure_decoding({}, 10), Error);
  }

  TEST_CASE("decoding with several coded models") {
    std::vector<Tensor> outputs;
    for (std::uint64_t i = 0; i < 4; ++i) outputs.push_back(random({6, 3}, 20 + i, DType::f64));
    const std::vector<std::vector<double>> weights = {
        {0.25, 0.25, 0.25, 0.25}, {0.1, 0.2, 0.3, 0.4}, {0.4, 0.1, 0.4, 0.1}};
    std::vector<Tensor> coded;
    for (const auto& row : weights) {
      Tensor total = scale(outputs[0], row[0]);
      for (std::size_t i = 1; i < 4; ++i) total = total + scale(outputs[i], row[i]);
      coded.push_back(total);
    }
    for (const std::vector<int>& late : {std::vector<int>{2}, {3, 0}, {0, 1, 2}, {}}) {
      std::vector<Tensor> known = outputs;
      for (int j : late) known[static_cast<std::size_t>(j)] = {};
      const ModelDecoding decoding = decode_models(coded, known, weights, late);
      REQUIRE(decoding.decoded.size() == late.size());
      for (std::size_t j = 0; j < late.size(); ++j)
        CHECK(largest_difference(decoding.decoded[j], outputs[static_cast<std::size_t>(late[j])]) <=
              1e-10);
    }
    const ModelDecoding single = decode_models({coded[0]}, outputs, {weights[0]}, {1});
    CHECK(single.amplification == doctest::Approx(4));  // 1/β
    CHECK(single.condition == doctest::Approx(1));
    CHECK_THROWS_WITH_AS(decode_models({coded[0]}, outputs, {weights[0]}, {0, 1}),
                         doctest::Contains("2 models are late"), Error);
    CHECK_THROWS_AS(decode_models({coded[0], coded[0]}, outputs, {weights[0], weights[0]}, {0, 1}),
                    Error);  // the same row twice tells nothing apart
    CHECK_THROWS_AS(decode_models({coded[0]}, outputs, {weights[0]}, {4}), Error);
    CHECK_THROWS_AS(decode_models(coded, outputs, weights, {1, 1}), Error);

    check_decodable(weights);
    check_decodable({weights[1]});
    CHECK_THROWS_WITH_AS(check_decodable({{0.5, 0, 0.5}}), doctest::Contains("model 2 late"),
                         UsageError);
    // Told from the others by the first row alone: the second and the last have equal columns.
    CHECK_THROWS_WITH_AS(check_decodable({weights[0], weights[2]}),
                         doctest::Contains("models 1 and 3 late"), UsageError);
  }

  TEST_CASE("normalised decoding accuracy of an exact code is 100") {
    Generator generator(9);
    Logistic a(4, 2, generator), b(4, 2, generator), coded(4, 2, generator);
    std::vector<Dataset> tests(2);
    for (std::uint64_t t = 0; t < 2; ++t) {
      tests[t].name = t == 0 ? "first" : "second";
      tests[t].images = cast(scale(random({40, 2, 2, 1}, 30 + t) + 1.0, 127), DType::u8);
      tests[t].classes = 2;
      tests[t].normalization = {{0}, {1}};
    }
    NoGradGuard no_grad;
    for (std::size_t t = 0; t < 2; ++t) {
      Module& own = t == 0 ? static_cast<Module&>(a) : b;
      Tensor labels = argmax(own(scale(cast(tests[t].images, DType::f32), 1.0 / 255)));
      labels.mutable_data<std::int64_t>()[0] ^= 1;  // one mistake in 40
      tests[t].labels = labels;
    }
    const MergeProblem problem{.models = {&a, &b}, .weights = {0.5, 0.5}};
    merge(problem, "average", coded);
    const DecodingBench bench(problem.models, {&tests[0], &tests[1]});
    const DecodingScore exact = bench.score({&coded}, {problem.weights});
    REQUIRE(exact.tasks.size() == 2);
    CHECK(exact.tasks[0].task == "first");
    CHECK(exact.tasks[0].base_accuracy == doctest::Approx(39.0 / 40));
    CHECK(exact.tasks[0].recovery_accuracy == 1);
    CHECK(exact.recovery_accuracy == 1);
    CHECK(exact.decoded_accuracy == doctest::Approx(39.0 / 40));
    CHECK(exact.normalized_decoding_accuracy == doctest::Approx(100));
    CHECK(exact.relative_output_error <= 1e-5);
    CHECK(exact.worst_decoded_error <= 1e-5);
    REQUIRE(exact.by_late.size() == 1);
    CHECK(exact.by_late[0].worst_amplification == doctest::Approx(2));
    CHECK(exact.by_late[0].worst_condition == doctest::Approx(1));

    // Two coded models: both late at once.
    Logistic second(4, 2, generator);
    const std::vector<std::vector<double>> two = {{0.5, 0.5}, {0.2, 0.8}};
    merge({.models = {&a, &b}, .weights = two[1]}, "average", second);
    const DecodingScore pair = bench.score({&coded, &second}, two);
    REQUIRE(pair.by_late.size() == 2);
    for (const LateScore& late : pair.by_late) {
      CHECK(late.recovery_accuracy == 1);
      CHECK(late.normalized_decoding_accuracy == doctest::Approx(100));
    }
    CHECK(pair.by_late[0].late == 1);
    CHECK(pair.by_late[1].worst_condition > pair.by_late[0].worst_condition);
    CHECK_THROWS_AS(bench.score({&coded, &second}, {two[0]}), Error);

    for (Tensor& parameter : coded.parameters()) {
      parameter.set_requires_grad(false);
      parameter.fill_(0);
    }
    const DecodingScore poor = bench.score({&coded}, {problem.weights});
    double want = 0;  // f̂_j is minus what the other model says
    double recovered = 0, right = 0;
    for (std::size_t t = 0; t < 2; ++t) {
      Module& other = t == 0 ? static_cast<Module&>(b) : a;
      const Tensor said = neg(other(scale(cast(tests[t].images, DType::f32), 1.0 / 255)));
      want += 50 * accuracy(said, tests[t].labels) / (39.0 / 40);
      right += accuracy(said, tests[t].labels) / 2;
      Module& own = t == 0 ? static_cast<Module&>(a) : b;
      recovered +=
          accuracy(said, argmax(own(scale(cast(tests[t].images, DType::f32), 1.0 / 255)))) / 2;
    }
    CHECK(poor.decoded_accuracy == doctest::Approx(right));
    CHECK(poor.recovery_accuracy == doctest::Approx(recovered));
    CHECK(poor.normalized_decoding_accuracy == doctest::Approx(want));
    CHECK(poor.relative_output_error == doctest::Approx(1));
  }
}
