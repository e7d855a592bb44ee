#include "tools/merge_models/merge_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "coding/merging/decode.h"
#include "coding/merging/fisher_file.h"
#include "coding/merging/weights_search.h"
#include "engine/storage.h"
#include "kernels/check.h"
#include "models/registry.h"
#include "tools/merge_models/result_table.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/program.h"
#include "tools/runs/run_folder.h"

namespace understudy {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

namespace {

std::vector<Module*> modules(const std::vector<std::unique_ptr<Model>>& models) {
  std::vector<Module*> all;
  for (const auto& model : models) all.push_back(model.get());
  return all;
}

std::int64_t bytes_of(const std::vector<std::vector<NamedTensor>>& fishers) {
  std::int64_t bytes = 0;
  for (const auto& tensors : fishers)
    for (const NamedTensor& named : tensors)
      bytes += named.tensor.count() * static_cast<std::int64_t>(size_of(named.tensor.dtype()));
  return bytes;
}

// What the row was given beside the models: Fisher files stand in for what COIN needs.
std::string needs_in_words(const MergeCase& one) {
  MergeNeeds needs = needs_of(one.recipe);
  needs.labels = one.fisher == "empirical";
  if (one.fisher != "given") return to_string(needs);
  needs.points = one.points > 0;
  needs.gradients = has_method(one.recipe, "distill");
  const std::string others = to_string(needs);
  return others == "nothing" ? "Fisher files" : "Fisher files, " + others;
}

}  // namespace

void MergeRun::load_the_models() {
  models_ = load_models(files_, choices_.architecture, common_.device);
  if (!choices_.start.empty()) {
    auto pair = load_models({files_[0], choices_.start}, choices_.architecture, common_.device);
    start_ = std::move(pair[1]);
  }
  for (const MergeCase& one : cases_) check_recipe(one.recipe, *models_[0]);
  if (!choices_.fishers.empty()) {
    const std::vector<std::string> fisher_files = split_list(choices_.fishers, "--fishers");
    if (fisher_files.size() != files_.size())
      throw UsageError(
          fmt::format("--fishers: {} for {} models", fisher_files.size(), files_.size()));
    for (std::size_t i = 0; i < fisher_files.size(); ++i)
      given_fishers_.push_back(load_fisher(fisher_files[i], *models_[i]).fisher);
  }
  for (std::size_t a = 0; a < weights_.size(); ++a) {
    coded_.push_back(make_model(models_[0]->describe()));
    coded_.back()->to(common_.device);
  }
}

void MergeRun::load_the_tasks(const std::vector<std::string>& names) {
  if (names.empty()) return;
  try {
    check_decodable(weights_);
  } catch (const UsageError& e) {
    throw UsageError(fmt::format("--weights '{}': {}", choices_.weights, e.what()));
  }
  const std::int64_t most = *std::max_element(choices_.points.begin(), choices_.points.end());
  tasks_ = load_tasks(names, common_.data_dir, *models_[0], files_[0], most,
                      searches_weights(choices_) ? choices_.validation : 0, choices_.curve,
                      common_.seed);
  std::vector<const Dataset*> tests;
  for (const Task& task : tasks_) tests.push_back(&task.data.test);
  bench_ = std::make_unique<DecodingBench>(modules(models_), tests);
}

json MergeRun::describe_data() const {
  json description = json::array();
  for (const Task& task : tasks_) description.push_back(describe(task.data.train, task.data.test));
  return description;
}

void MergeRun::explain(json& result) {
  std::vector<std::vector<NamedTensor>> fishers = given_fishers_;
  if (fishers.empty() && !tasks_.empty()) {
    MergeCase one{.recipe = "coin", .points = choices_.points.back(), .fisher = "gaussian"};
    one.fisher_data = "own";
    fishers = fishers_for(one, problem_for(one, weights_[0])).fishers;
  }
  const auto tensors = explain_difference(modules(models_), start_.get(), fishers);
  if (common_.json != "-") print_difference(tensors, files_);
  result["explanation"] = to_json(tensors);
}

MergeProblem MergeRun::problem_for(const MergeCase& one, const std::vector<double>& weights) {
  MergeProblem problem{.models = modules(models_), .weights = weights};
  if (one.points > 0)
    for (const Task& task : tasks_) {
      const Dataset points = task.first_points(one.points);
      problem.points.push_back(inputs_of(points));
      problem.labels.push_back(points.labels);
    }
  problem.start = start_.get();
  problem.pooled = one.fisher_data == "union";
  if (!one.fisher.empty() && one.fisher != "given") problem.fisher.kind = fisher_kind(one.fisher);
  problem.fisher.seed = common_.seed;
  problem.damping = std::max(one.damping, 0.0);
  problem.kfac_damping = choices_.kfac_damping;
  problem.off_diagonal = choices_.off_diagonal;
  problem.ridge = choices_.ridge;
  problem.ties_density = choices_.ties_density;
  problem.ties_scale = choices_.ties_scale;
  problem.distillation.epochs = choices_.distill_epochs;
  problem.distillation.lr = choices_.distill_lr;
  problem.distillation.batch_size = choices_.distill_batch;
  problem.distillation.step_mode = common_.step_mode();
  problem.distillation.most_seconds = choices_.distill_seconds;
  problem.distillation.seed = static_cast<std::int64_t>(common_.seed);
  problem.seed = common_.seed;
  if (one.fisher == "given") problem.fishers = given_fishers_;
  return problem;
}

const MeasuredFishers& MergeRun::fishers_for(const MergeCase& one, const MergeProblem& problem) {
  const std::string key = fmt::format("{} {} {}", one.points, one.fisher, one.fisher_data);
  const auto found = fishers_.find(key);
  if (found != fishers_.end()) return found->second;
  restart_allocator_peak(common_.device);
  const std::int64_t before = allocator_statistics(common_.device).bytes_in_use;
  const auto start = Clock::now();
  MeasuredFishers measured{.fishers = fishers_of(problem)};
  measured.seconds = seconds_since(start, common_.device);
  measured.bytes = bytes_of(measured.fishers);
  measured.peak_bytes = allocator_statistics(common_.device).peak_bytes_in_use - before;
  return fishers_[key] = std::move(measured);
}

// Scores the network after every epoch, on the points and on some test images.
void MergeRun::follow_distillation(const MergeCase& one, MergeProblem& problem, json& curve,
                                   double& aside) {
  struct Benches {
    std::vector<Dataset> points;
    std::unique_ptr<DecodingBench> train, test;
  };
  const auto benches = std::make_shared<Benches>();
  if (choices_.curve > 0) {
    std::vector<const Dataset*> train, test;
    for (const Task& task : tasks_) {
      benches->points.push_back(task.first_points(std::min(one.points, choices_.curve)));
      test.push_back(&task.curve_test);
    }
    for (const Dataset& points : benches->points) train.push_back(&points);
    benches->train = std::make_unique<DecodingBench>(problem.models, train);
    benches->test = std::make_unique<DecodingBench>(problem.models, test);
  }
  problem.distillation.after_epoch = [this, &curve, &aside, benches, weights = problem.weights](
                                         const DistillationEpoch& epoch, Module& network) {
    const auto start = Clock::now();
    if (interrupted()) {
      progress_.line(
          common_.out.empty()
              ? "interrupted; nothing is saved without --out"
              : "interrupted; the rows before this one are saved, continue with --resume");
      throw Exit{exit_interrupted};
    }
    if (benches->train)
      curve.push_back({{"epoch", epoch.epoch},
                       {"seconds", epoch.seconds},
                       {"train_loss", epoch.loss},
                       {"train_normalised_decoding_accuracy",
                        benches->train->score({&network}, {weights}).normalized_decoding_accuracy},
                       {"normalised_decoding_accuracy",
                        benches->test->score({&network}, {weights}).normalized_decoding_accuracy}});
    progress_.update(rows_done_, fmt::format("epoch {}", epoch.epoch));
    aside += seconds_since(start);
    return true;
  };
}

json MergeRun::run(const MergeCase& one) {
  const auto or_null = [](bool there, const json& value) { return there ? value : json(); };
  json row = {{"label", one.label(choices_)},
              {"method", one.recipe},
              {"needs", needs_in_words(one)},
              {"points", or_null(one.points > 0, one.points)},
              {"fisher", or_null(!one.fisher.empty(), one.fisher)},
              {"fisher_data", or_null(!one.fisher_data.empty(), one.fisher_data)},
              {"damping", or_null(one.damping >= 0, one.damping)}};
  std::vector<std::vector<double>> weights = weights_;
  double seconds = 0;
  json curve = json::array();
  std::int64_t peak = 0;
  for (std::size_t a = 0; a < coded_.size(); ++a) {
    MergeProblem problem = problem_for(one, weights[a]);
    const bool coin = has_method(one.recipe, "coin") && !has_method(one.recipe, "rebasin");
    std::int64_t held = 0;  // by this row, before it merges
    if (coin && problem.fishers.empty()) {
      const MeasuredFishers& measured = fishers_for(one, problem);
      problem.fishers = measured.fishers;
      held = measured.bytes;
      peak = std::max(peak, measured.peak_bytes);
      if (a == 0) seconds += measured.seconds;
    }
    restart_allocator_peak(common_.device);
    const std::int64_t before = allocator_statistics(common_.device).bytes_in_use - held;
    if (searches_weights(choices_)) {
      std::vector<const Dataset*> validation;
      for (const Task& task : tasks_) validation.push_back(&task.validation);
      const auto start = Clock::now();
      const WeightsSearch search = search_weights(problem, one.recipe, *coded_[a], validation);
      const double searching = seconds_since(start, common_.device);
      seconds += searching;
      weights[a] = problem.weights = search.best.weights;
      row["searched"] = {{"error", search.best.worst_decoded_error},
                         {"error_of_equal_weights", search.tries[0].worst_decoded_error},
                         {"tries", search.tries.size()},
                         {"seconds", searching}};
    }
    const bool distills = has_method(one.recipe, "distill");
    json followed = json::array();
    double aside = 0;
    if (distills) follow_distillation(one, problem, followed, aside);
    const auto start = Clock::now();
    merge(problem, one.recipe, *coded_[a]);
    seconds += seconds_since(start, common_.device) - aside;
    if (a == 0) curve = followed;
    peak = std::max(peak, allocator_statistics(common_.device).peak_bytes_in_use - before);
  }
  row["weights"] = weights.size() == 1 ? json(weights[0]) : json(weights);
  row["seconds"] = seconds;
  row["peak_bytes"] = peak;
  if (bench_) add_scores(weights, row);
  if (!curve.empty()) row["curve"] = curve;
  ++rows_done_;
  return row;
}

void MergeRun::add_scores(const std::vector<std::vector<double>>& weights, json& row) {
  const DecodingScore score = bench_->score(modules(coded_), weights);
  row["normalised_decoding_accuracy"] = score.normalized_decoding_accuracy;
  row["recovery_accuracy"] = score.recovery_accuracy;
  row["decoded_accuracy"] = score.decoded_accuracy;
  row["relative_output_error"] = score.relative_output_error;
  row["worst_decoded_error"] = score.worst_decoded_error;
  for (const TaskScore& task : score.tasks)
    row["tasks"].push_back({{"dataset", task.task},
                            {"base_accuracy", task.base_accuracy},
                            {"decoded_accuracy", task.decoded_accuracy},
                            {"recovery_accuracy", task.recovery_accuracy}});
  for (const LateScore& late : score.by_late)
    row["by_late"].push_back({{"late", late.late},
                              {"normalised_decoding_accuracy", late.normalized_decoding_accuracy},
                              {"recovery_accuracy", late.recovery_accuracy},
                              {"worst_amplification", late.worst_amplification},
                              {"worst_condition", late.worst_condition}});
}

void MergeRun::summarize(json& result) const {
  const json& rows = result.at("rows");
  double seconds = 0;
  for (const auto& row : rows) seconds += row.at("seconds").get<double>();
  result["model"] = models_[0]->describe();
  result["models"] = models_.size();
  result["weights"] = searches_weights(choices_) ? json() : json(weights_);  // else by row
  result["seconds"] = seconds;
  const auto n = static_cast<double>(models_.size()), m = static_cast<double>(coded_.size());
  result["extra_machines_percent"] = 100 * m / n;
  result["replication_extra_machines_percent"] = 100.0 * m;
  result["cost"] = fmt::format(
      "{:.1f} % extra machines ({} coded model{} for {}); replication: {:g} %", 100 * m / n,
      coded_.size(), coded_.size() == 1 ? "" : "s", models_.size(), 100 * m);
  if (!bench_) return;
  const char* key = "normalised_decoding_accuracy";
  const json& best = *std::max_element(rows.begin(), rows.end(), [&](const json& a, const json& b) {
    return a.at(key).get<double>() < b.at(key).get<double>();
  });
  double base_accuracy = 0;  // when every model answers
  for (std::size_t j = 0; j < models_.size(); ++j) base_accuracy += bench_->base_accuracy(j) / n;
  const DecodingTiming timing =
      measure_decoding(weights_[0], models_[0]->classes(), 64, 51, common_.device);
  result["definition"] = normalized_decoding_definition;
  result["tasks"] = rows.back().at("tasks");
  result["best"] = best.at("label");
  result["best_chosen_on"] = "test images";
  result["best_method"] = best.at("method");
  result["test_accuracy"] = base_accuracy;
  result["test_recovery_accuracy"] = best.at("recovery_accuracy");
  result["test_overall_accuracy"] = best.at("decoded_accuracy");
  result["merge_seconds"] = best.at("seconds");
  result["encode_us"] = 0.0;  // of a query: the merge happened once, before
  result["encode_us_in_batch"] = 0.0;
  result["decode_us"] = timing.decode_us;
  result["decode_us_in_batch"] = timing.decode_us_in_batch;
  result["timing_batch"] = timing.batch;
}

}  // namespace understudy
