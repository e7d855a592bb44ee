// Codes over models: makes one coded network of n trained networks without training it, so that it
// stands in for any one of them that does not answer (COIN, ISIT 2024, arXiv 2409.01420), beside
// the plain average and a refit of the last layer. In order: models, points, Fisher information,
// merge, decode, score.
//
//   build/bin/train_classifier --dataset cifar-10-grey28 --hidden 400,400 --epochs 5 --out runs/pre
//   build/bin/train_classifier --dataset mnist --hidden 400,400 --init runs/pre --epochs 3
//     --out runs/a
//   build/bin/train_classifier --dataset fashion-mnist --hidden 400,400 --init runs/pre --epochs 3
//     --out runs/b
//   build/bin/merge_models --models runs/a,runs/b --datasets mnist,fashion-mnist --method all
//
// ends with a line like
//
//   normalised decoding accuracy: average 60.7 %, coin 85.9 %, refit 95.2 %, coin+refit 97.9 %
//
// which is what seed 1 gave throughout with the three sets in full; seeds 2 and 3 gave 61.4, 86.7,
// 95.0, 98.1 and 62.5, 90.6, 95.8, 98.3.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>

// In the order of the data flow.
// clang-format off
#include "datasets/dataset.h"
#include "models/model_file.h"
#include "models/registry.h"
#include "coding/merging/fisher.h"
#include "coding/merging/merge.h"
#include "coding/merging/decode.h"
#include "coding/merging/evaluation.h"
#include "engine/checkpoint.h"
// clang-format on
#include "engine/autograd.h"
#include "engine/random.h"
#include "kernels/check.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/options.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"

namespace understudy {
namespace {

// The flags of this program beside the common ones. Lists are written with commas.
struct Choices {
  std::string models, datasets, weights;
  std::string method = "all";
  std::string architecture;
  std::int64_t points = 1000;
  std::string fisher = "gaussian";
  std::string fisher_data = "own";
  double damping = 0;
  double ridge = MergeProblem().ridge;
};

void add_choices(Options& options, Choices& choices) {
  options.add("models", &choices.models,
              "the trained models, with commas between them: run folders or safetensors files");
  options.add("datasets", &choices.datasets,
              "the data set of each model, with commas between them");
  options.add("model", &choices.architecture,
              "architecture of --models files that do not say it, e.g. 'mlp 784-400-400-10'");
  options.add("method", &choices.method,
              "average, coin, refit, chains such as coin+refit; several with commas, or all");
  options.add("weights", &choices.weights,
              "the weight β of each model in the coded one, scaled to sum 1; empty: equal");
  options.add("points", &choices.points, "training images of each task that a method may look at")
      .at_least(1)
      .at_most(1 << 20);
  options.add("fisher", &choices.fisher, "the Fisher information that COIN weighs with")
      .one_of({"gaussian", "classification"});
  options
      .add("fisher-data", &choices.fisher_data,
           "own: each model's Fisher on its own task's points; union: on --points points drawn "
           "from all tasks alike")
      .one_of({"own", "union"});
  options.add("damping", &choices.damping, "added to every Fisher value").at_least(0);
  options.add("ridge", &choices.ridge, "of the refit, relative to the mean square of a feature")
      .above(0);
}

std::vector<double> parse_weights(const std::string& text, std::size_t models) {
  std::vector<double> weights;
  if (!text.empty())
    for (const std::string& item : split_list(text, "--weights")) {
      double weight = 0;
      const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), weight);
      if (error != std::errc() || end != item.data() + item.size())
        throw UsageError(fmt::format("--weights '{}': expected numbers, found '{}'", text, item));
      weights.push_back(weight);
    }
  return normalized_weights(weights, models);
}

std::vector<std::string> parse_methods(const std::string& text) {
  if (text == "all") return {"average", "coin", "refit", "coin+refit"};
  std::vector<std::string> methods = split_list(text, "--method");
  for (const std::string& method : methods)
    if (std::count(methods.begin(), methods.end(), method) > 1)
      throw UsageError(fmt::format("--method '{}': {} is there twice", text, method));
  return methods;
}

// Every model answers the test images of every task: all sets need the images and classes of the
// models.
void check_fits(Model& model, const std::string& file, const Dataset& data) {
  if (data.classes != model.classes())
    throw UsageError(fmt::format("--datasets: {} has {} classes, but {} is {}", data.name,
                                 data.classes, file, model.describe()));
  try {
    const NoGradGuard no_grad;
    const EvaluationGuard evaluation(model);
    model(images_at(data, Tensor::zeros({1}, DType::i64, data.images.device())));
  } catch (const Error& e) {
    throw UsageError(fmt::format("--datasets: the images of {} are none for {}, {}: {}", data.name,
                                 file, model.describe(), e.what()));
  }
}

// `count` training images of a task, drawn without replacement.
Tensor draw_points(const Dataset& train, std::int64_t count, Generator& generator) {
  if (count > train.size())
    throw UsageError(fmt::format("--points: {} of {} are asked for, but it has {}", count,
                                 train.name, train.size()));
  std::vector<std::int64_t> chosen = generator.permutation(train.size());
  chosen.resize(static_cast<std::size_t>(count));
  return images_at(train, Tensor::from(chosen, {count}, train.images.device()));
}

void print_result(const nlohmann::json& result) {
  fmt::print("{}\n\n{:<16} {:>10} {:>10} {:>8}", result.at("definition").get<std::string>(),
             "method", "normalised", "recovered", "seconds");
  for (const auto& task : result.at("tasks"))
    fmt::print("   {:>16}", "late: " + task.at("dataset").get<std::string>());
  fmt::print("\n{:<16} {:>10} {:>10} {:>8}", "(all answer)", "", "", "");
  for (const auto& task : result.at("tasks"))
    fmt::print("   {:>14.2f} %", 100 * task.at("base_accuracy").get<double>());
  std::string last;
  for (const auto& row : result.at("rows")) {
    const std::string method = row.at("method");
    const double accuracy = row.at("normalised_decoding_accuracy");
    fmt::print("\n{:<16} {:>8.1f} % {:>8.2f} % {:>8.2f}", method, accuracy,
               100 * row.at("recovery_accuracy").get<double>(), row.at("seconds").get<double>());
    for (const auto& task : row.at("tasks"))
      fmt::print("   {:>14.2f} %", 100 * task.at("decoded_accuracy").get<double>());
    last += fmt::format("{}{} {:.1f} %", last.empty() ? "" : ", ", method, accuracy);
  }
  fmt::print(
      "\n\nrecovered: the reconstructed answer names the class that the late model would have "
      "named;\nlate: accuracy of its reconstructed answers. Best on these test images: {}, of mean "
      "accuracy {:.2f} %\nwhere the models have {:.2f} %. "
      "At query time there is nothing to encode, the merge happened once; decoding takes {:.1f} µs "
      "a query alone, {:.2f} µs\nin a batch of {}.\n{}\n",
      result.at("best_method").get<std::string>(),
      100 * result.at("test_overall_accuracy").get<double>(),
      100 * result.at("test_accuracy").get<double>(), result.at("decode_us").get<double>(),
      result.at("decode_us_in_batch").get<double>(), result.at("timing_batch").get<std::int64_t>(),
      result.at("cost").get<std::string>());
  fmt::print("normalised decoding accuracy: {}\n", last);
}

void merge_models(int argc, char** argv) {
  Options options(
      {
          .name = "merge_models",
          .summary =
              "Makes one coded network that stands in for any one of several that does not answer.",
          .example = "merge_models --models runs/a,runs/b --datasets mnist,fashion-mnist --method "
                     "all --points 1000\n"
                     "With MNIST and Fashion-MNIST in full, from a common start on grey CIFAR-10, "
                     "it ended with: normalised decoding accuracy: average 60.7 %, coin 85.9 %, "
                     "refit 95.2 %, coin+refit 97.9 %",
      },
      {}, {"dataset", "model", "epochs", "batch-size", "lr"});
  Choices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  if (choices.models.empty() || choices.datasets.empty())
    throw UsageError(
        "--models and --datasets are needed, e.g. --models runs/a,runs/b --datasets "
        "mnist,fashion-mnist");
  const std::vector<std::string> files = split_list(choices.models, "--models");
  const std::vector<std::string> tasks = split_list(choices.datasets, "--datasets");
  const std::vector<std::string> methods = parse_methods(choices.method);
  const std::size_t n = files.size();
  if (n < 2) throw UsageError("--models: a merge needs at least 2, with a comma between them");
  if (tasks.size() != n)
    throw UsageError(fmt::format("--datasets: {} for {} models", tasks.size(), n));
  MergeProblem problem;
  problem.weights = parse_weights(choices.weights, n);
  problem.fisher_kind = fisher_kind(choices.fisher);
  problem.pooled = choices.fisher_data == "union";
  problem.damping = choices.damping;
  problem.ridge = choices.ridge;
  for (const std::string& method : methods) check_recipe(method);

  RunFolder folder(options, {files.begin(), files.end()});
  Progress progress(common.quiet);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_result(folder.repeat_result());
    return;
  }

  // models
  std::vector<std::unique_ptr<Model>> models;
  for (const std::string& file : files) {
    models.push_back(load_model(find_model(file), choices.architecture));
    problem.models.push_back(models.back().get());
  }
  check_same_architecture(problem.models, files);
  for (std::size_t i = 1; i < n; ++i)
    check(models[i]->describe() == models[0]->describe(),
          "models of one architecture are needed, but {} is {} and {} is {}", files[0],
          models[0]->describe(), files[i], models[i]->describe());
  for (const std::string& method : methods) check_recipe(method, *models[0]);

  // points: `--points` of each task, or as many from all tasks together
  std::vector<TrainTest> data;
  std::vector<const Dataset*> tests;
  nlohmann::json description = nlohmann::json::array();
  for (const std::string& task : tasks) {
    data.push_back(load_dataset(task, common.data_dir));
    check_fits(*models[data.size() - 1], files[data.size() - 1], data.back().test);
    description.push_back(describe(data.back().train, data.back().test));
  }
  const std::int64_t points =
      problem.pooled ? std::max<std::int64_t>(1, choices.points / static_cast<std::int64_t>(n))
                     : choices.points;
  Generator generator(common.seed, Stream::sampling);
  for (const TrainTest& task : data) {
    tests.push_back(&task.test);
    problem.points.push_back(draw_points(task.train, points, generator));
  }

  // where an unfinished run stood: the rows that are done
  Checkpoint position;
  nlohmann::json rows = nlohmann::json::array();
  if (folder.state() == RunFolder::State::unfinished) {
    position = load_checkpoint(folder.last());
    rows = nlohmann::json::parse(position.text.at("rows"));
  }
  folder.write_header(description);
  folder.truncate_metrics(position.epoch);

  progress.line(fmt::format(
      "merge_models: {} networks {}, {} parameters each, β = {:.3g}; {} points "
      "a task; {}, {} threads, seed {}",
      n, models[0]->describe(), models[0]->parameter_count(), fmt::join(problem.weights, ", "),
      points, instruction_set(), common.threads, common.seed));
  const DecodingBench bench(problem.models, tests, problem.weights);
  const std::unique_ptr<Model> coded = make_model(models[0]->describe());
  progress.begin("merging", static_cast<std::int64_t>(methods.size()), position.epoch);
  while (position.epoch < static_cast<std::int64_t>(methods.size())) {
    const std::string& method = methods[static_cast<std::size_t>(position.epoch)];
    const auto start = std::chrono::steady_clock::now();
    merge(problem, method, *coded);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

    const DecodingScore score = bench.score(*coded);
    nlohmann::json row = {{"method", method},
                          {"normalised_decoding_accuracy", score.normalized_decoding_accuracy},
                          {"recovery_accuracy", score.recovery_accuracy},
                          {"decoded_accuracy", score.decoded_accuracy},
                          {"relative_output_error", score.relative_output_error},
                          {"seconds", seconds},
                          {"tasks", nlohmann::json::array()}};
    for (const TaskScore& task : score.tasks)
      row["tasks"].push_back({{"dataset", task.task},
                              {"base_accuracy", task.base_accuracy},
                              {"decoded_accuracy", task.decoded_accuracy},
                              {"recovery_accuracy", task.recovery_accuracy}});
    rows.push_back(row);
    ++position.epoch;
    row["epoch"] = position.epoch;
    folder.add_metrics(row);
    progress.line(fmt::format(
        "{}: normalised decoding accuracy {:.1f} %, recovery-accuracy {:.2f} %, {:.2f} s", method,
        score.normalized_decoding_accuracy, 100 * score.recovery_accuracy, seconds));
    progress.update(position.epoch);
    if (folder.writes()) {
      const std::map<std::string, std::string> recipe = {
          {"merge.method", method},
          {"merge.models", choices.models},
          {"merge.weights", fmt::format("{}", fmt::join(problem.weights, ","))},
          {"merge.fisher", choices.fisher},
          {"merge.fisher_data", choices.fisher_data},
          {"merge.points", std::to_string(points)},
          {"merge.seed", std::to_string(common.seed)}};
      save_model(folder.path() / (method + ".safetensors"), *coded, recipe);
      save_model(folder.model(), *coded, recipe);
      position.text["rows"] = rows.dump();
      save_checkpoint(folder.last(), position);
    }
    if (interrupted() && position.epoch < static_cast<std::int64_t>(methods.size())) {
      progress.line(folder.writes() ? "interrupted; saved, continue with --resume"
                                    : "interrupted; nothing is saved without --out");
      throw Exit{exit_interrupted};
    }
  }
  progress.end();

  double seconds = 0;
  for (const auto& row : rows) seconds += row.at("seconds").get<double>();
  const auto best = *std::max_element(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    const char* key = "normalised_decoding_accuracy";
    return a.at(key).template get<double>() < b.at(key).template get<double>();
  });
  double base_accuracy = 0;  // when every model answers
  for (std::size_t j = 0; j < n; ++j)
    base_accuracy += bench.base_accuracy(j) / static_cast<double>(n);
  const DecodingTiming timing =
      measure_decoding(problem.weights, models[0]->classes(), 64, 51, common.device);
  const double extra = 100.0 / static_cast<double>(n);
  nlohmann::json result = {
      {"rows", rows},
      {"tasks", rows.back().at("tasks")},
      {"definition", normalized_decoding_definition},
      {"best_method", best.at("method")},  // on the test images; of merge_seconds too
      {"test_accuracy", base_accuracy},
      {"test_recovery_accuracy", best.at("recovery_accuracy")},
      {"test_overall_accuracy", best.at("decoded_accuracy")},
      {"merge_seconds", best.at("seconds")},
      {"encode_us", 0.0},  // of a query: the merge happened once, before
      {"encode_us_in_batch", 0.0},
      {"decode_us", timing.decode_us},
      {"decode_us_in_batch", timing.decode_us_in_batch},
      {"timing_batch", timing.batch},
      {"model", models[0]->describe()},
      {"weights", problem.weights},
      {"points_per_task", points},
      {"extra_machines_percent", extra},
      {"replication_extra_machines_percent", 100.0},
      {"cost",
       fmt::format("{:.1f} % extra machines (1 coded model for {}); replication: 100 %", extra, n)},
      {"seconds", seconds}};
  folder.finish(result);
  print_result(result);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("merge_models", [&] { understudy::merge_models(argc, argv); });
}
