// Codes over models: makes one coded network of n trained networks without training it, so that it
// stands in for any one of them that does not answer (COIN, ISIT 2024, arXiv 2409.01420), beside
// its rivals. In order: models, points, Fisher information, merge, decode, score.
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
//   normalised decoding accuracy: average 60.7 %, regmean 84.2 %, coin 85.9 %, kfac 87.8 %,
//   refit 95.2 %, coin+refit 97.9 %, distill 98.8 %, coin+distill 99.2 %
//
// which is what seed 1 gave throughout with the three sets in full (docs/results has three seeds,
// ResNet-18 and what each method costs).

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

// In the order of the data flow.
// clang-format off
#include "datasets/dataset.h"
#include "models/model_file.h"
#include "coding/merging/merge.h"
#include "coding/merging/evaluation.h"
#include "engine/checkpoint.h"
// clang-format on
#include "kernels/check.h"
#include "tools/merge_models/choices.h"
#include "tools/merge_models/fisher_command.h"
#include "tools/merge_models/merge_run.h"
#include "tools/merge_models/result_table.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/options.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"

namespace understudy {
namespace {

using nlohmann::json;

// "coin P=100" to "coin-P-100".
std::string file_name(const std::string& label) {
  std::string name = label;
  for (char& c : name)
    if (c == ' ' || c == '=') c = '-';
  return name;
}

// The coded networks of a row, with the recipe that made them; model.safetensors is that of the
// last row so far.
void save(const RunFolder& folder, const MergeRun& run, const MergeCase& one, const json& row,
          const MergeChoices& choices, const Options& options) {
  std::map<std::string, std::string> recipe = {{"merge.method", one.recipe},
                                               {"merge.models", choices.models},
                                               {"merge.datasets", choices.datasets},
                                               {"merge.seed", std::to_string(options.common.seed)},
                                               {"merge.settings", options.identity().dump()}};
  for (const char* key : {"points", "fisher", "fisher_data", "damping"})
    if (!row.at(key).is_null())
      recipe[fmt::format("merge.{}", key)] =
          row.at(key).is_string() ? row.at(key).get<std::string>() : row.at(key).dump();
  const std::string name = file_name(one.label(choices));
  for (std::size_t a = 0; a < run.coded().size(); ++a) {
    const json& weights = run.coded().size() == 1 ? row.at("weights") : row.at("weights").at(a);
    recipe["merge.weights"] = fmt::format("{}", fmt::join(weights.get<std::vector<double>>(), ","));
    const std::string number = run.coded().size() == 1 ? "" : fmt::format("-{}", a + 1);
    save_model(folder.path() / (name + number + ".safetensors"), *run.coded()[a], recipe);
    if (a == 0) save_model(folder.model(), *run.coded()[a], recipe);
  }
}

void merge_models(int argc, char** argv) {
  Options options(
      {
          .name = "merge_models",
          .summary =
              "Makes one coded network that stands in for any one of several that does not answer. "
              "'merge_models fisher' writes a network's Fisher information to a file, so that it "
              "can be merged later without data.",
          .example = "merge_models --models runs/a,runs/b --datasets mnist,fashion-mnist --method "
                     "all --points 1000\n"
                     "With MNIST and Fashion-MNIST in full, from a common start on grey CIFAR-10, "
                     "it ended with: normalised decoding accuracy: average 60.7 %, regmean 84.2 %, "
                     "coin 85.9 %, kfac 87.8 %, refit 95.2 %, coin+refit 97.9 %, distill 98.8 %, "
                     "coin+distill 99.2 %",
      },
      {}, {"dataset", "model", "epochs", "batch-size", "lr"});
  MergeChoices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  if (choices.models.empty())
    throw UsageError(
        "--models is needed, e.g. --models runs/a,runs/b --datasets mnist,fashion-mnist");
  const std::vector<std::string> files = split_list(choices.models, "--models");
  const std::vector<std::string> tasks = choices.datasets.empty()
                                             ? std::vector<std::string>()
                                             : split_list(choices.datasets, "--datasets");
  if (files.size() < 2)
    throw UsageError("--models: a merge needs at least 2, with a comma between them");
  if (!tasks.empty() && tasks.size() != files.size())
    throw UsageError(fmt::format("--datasets: {} for {} models", tasks.size(), files.size()));
  if (tasks.empty() && searches_weights(choices))
    throw UsageError("--weights best: needs images of every task: --datasets");
  Progress progress(common.quiet);
  MergeRun run(choices, common, files, progress);
  const std::vector<MergeCase>& cases = run.cases();

  std::vector<std::filesystem::path> inputs(files.begin(), files.end());
  if (!choices.start.empty()) inputs.push_back(choices.start);
  RunFolder folder(options, inputs);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_result(folder.repeat_result());
    return;
  }
  run.load_the_models();
  run.load_the_tasks(tasks);

  // where an unfinished run stood: the rows that are done
  Checkpoint position;
  json result = {{"rows", json::array()}};
  json& rows = result["rows"];
  if (folder.state() == RunFolder::State::unfinished) {
    position = load_checkpoint(folder.last());
    rows = json::parse(position.text.at("rows"));
  }
  folder.write_header(run.describe_data());
  folder.truncate_metrics(position.epoch);
  run.continue_after(position.epoch);

  std::vector<std::string> betas;
  for (const auto& row : run.weights())
    betas.push_back(fmt::format("{:.3g}", fmt::join(row, ", ")));
  progress.line(fmt::format(
      "merge_models: {} networks {}, {} parameters each, β = {}; {}; {}, {} threads, seed {}",
      files.size(), run.model().describe(), run.model().parameter_count(),
      searches_weights(choices) ? "to be found" : fmt::format("{}", fmt::join(betas, "; ")),
      tasks.empty() ? "no data" : fmt::format("{} points a task", fmt::join(choices.points, ", ")),
      machine(common), common.threads, common.seed));
  if (choices.explain) run.explain(result);
  const auto count = static_cast<std::int64_t>(cases.size());
  while (position.epoch < count) {
    const MergeCase& one = cases[static_cast<std::size_t>(position.epoch)];
    progress.begin(one.label(choices), count, position.epoch);
    json row = run.run(one);
    rows.push_back(row);
    ++position.epoch;
    row.erase("curve");
    row["epoch"] = position.epoch;
    folder.add_metrics(row);
    progress.line(
        row.contains("tasks")
            ? fmt::format("{}: normalised decoding accuracy {:.1f} %, recovery-accuracy {:.2f} %, "
                          "{:.2f} s",
                          one.label(choices), row.at("normalised_decoding_accuracy").get<double>(),
                          100 * row.at("recovery_accuracy").get<double>(),
                          row.at("seconds").get<double>())
            : fmt::format("{}: {:.2f} s", one.label(choices), row.at("seconds").get<double>()));
    if (folder.writes()) {
      save(folder, run, one, row, choices, options);
      position.text["rows"] = rows.dump();
      save_checkpoint(folder.last(), position);
    }
    if (interrupted() && position.epoch < count) {
      progress.line(folder.writes() ? "interrupted; saved, continue with --resume"
                                    : "interrupted; nothing is saved without --out");
      throw Exit{exit_interrupted};
    }
  }
  progress.end();
  run.summarize(result);
  folder.finish(result);
  print_result(result);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  using namespace understudy;
  return run_program("merge_models", [&] {
    if (argc > 1 && std::string(argv[1]) == "fisher")
      write_fisher(argc - 1, argv + 1);
    else
      merge_models(argc, argv);
  });
}
