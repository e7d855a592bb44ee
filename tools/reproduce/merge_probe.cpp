#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "coding/merging/merge.h"
#include "tools/merge_models/choices.h"
#include "tools/merge_models/tasks.h"
#include "tools/reproduce/merge_choices.h"
#include "tools/reproduce/probe.h"
#include "tools/runs/progress.h"

namespace understudy::reproduce {
namespace {

// Measured with these, so that it takes seconds where the run takes hours.
constexpr std::int64_t few_points = 16, more_points = 96;
// A search for the weights merges until steps of 0.4 have become steps of 0.04.
constexpr double usual_tries = 15;

// Of one call where that takes long.
double seconds_of(Device device, const std::function<void()>& call) {
  constexpr double long_enough = 0.2;
  const auto start = std::chrono::steady_clock::now();
  call();
  const double seconds = seconds_since(start, device);
  return seconds > long_enough ? seconds : seconds_per_call(device, call);
}

Probe::PointsCost cost_of(const std::function<double(std::int64_t)>& seconds_for) {
  const double few = seconds_for(few_points), more = seconds_for(more_points);
  const double per_point = std::max(0.0, (more - few) / (more_points - few_points));
  return {std::max(0.0, few - per_point * few_points), per_point};
}

// Networks and images to merge on; what is measured does not depend on their values.
class MergeProbe {
 public:
  // `costs` keeps what was measured.
  MergeProbe(const MergeChoices& choices, std::vector<Model*> models, Model& start, Model& merged,
             std::vector<const Dataset*> images, std::map<std::string, Probe::PointsCost>& costs)
      : choices_(choices),
        models_(std::move(models)),
        start_(start),
        merged_(merged),
        images_(std::move(images)),
        costs_(costs) {}

  // Of the row, without scores.
  double seconds(const MergeCase& one) {
    double seconds = 0;
    if (shares_fishers(one)) {
      // Computed once for all methods that look at them.
      const std::string key = fmt::format("{} {} {}", one.points, one.fisher, one.fisher_data);
      if (paid_.insert(key).second) seconds += fishers(one).seconds(one.points);
    }
    double merging = method(one).seconds(one.points);
    if (has_method(one.recipe, "distill")) {
      const auto further_epochs = static_cast<double>(choices_.distill_epochs - 1);
      merging += epoch(one).seconds(one.points) * further_epochs;
    }
    return seconds + merging * (searches_weights(choices_) ? usual_tries : 1);
  }

 private:
  static bool shares_fishers(const MergeCase& one) {
    return has_method(one.recipe, "coin") && !has_method(one.recipe, "rebasin");
  }

  MergeProblem problem(const MergeCase& one, std::int64_t points) {
    MergeProblem problem;
    problem.models.assign(models_.begin(), models_.end());
    problem.weights = normalized_weights({}, models_.size());
    problem.start = &start_;
    problem.pooled = one.fisher_data == "union";
    if (!one.fisher.empty()) problem.fisher.kind = fisher_kind(one.fisher);
    problem.damping = std::max(one.damping, 0.0);
    problem.distillation.epochs = 1;
    problem.distillation.batch_size = choices_.distill_batch;
    std::vector<std::int64_t> index;
    for (std::int64_t i = 0; i < points; ++i) index.push_back(i);
    for (const Dataset* images : images_) {
      const Dataset few = subset(*images, index);
      problem.points.push_back(inputs_of(few));
      problem.labels.push_back(few.labels);
    }
    return problem;
  }

  const Probe::PointsCost& remembered(const std::string& key,
                                      const std::function<double(std::int64_t)>& seconds_for) {
    const auto found = costs_.find(key);
    return found != costs_.end() ? found->second : costs_[key] = cost_of(seconds_for);
  }

  const Probe::PointsCost& fishers(const MergeCase& one) {
    return remembered(fmt::format("Fisher {} {}", one.fisher, one.fisher_data), [&](auto points) {
      const MergeProblem few = problem(one, points);
      return seconds_of(images_[0]->images.device(), [&] { fishers_of(few); });
    });
  }

  // Of the whole recipe, a distillation of one epoch in it, without Fishers that are shared.
  const Probe::PointsCost& method(const MergeCase& one) {
    const bool shared = shares_fishers(one);
    const std::string look =
        shared ? ""
               : fmt::format(" {} {}", one.fisher, one.fisher_data);  // what it measures itself
    return remembered(one.recipe + look, [&](std::int64_t points) {
      MergeProblem few = problem(one, points);
      if (shared) few.fishers = fishers_of(problem(one, 1));
      return seconds_of(images_[0]->images.device(), [&] { merge(few, one.recipe, merged_); });
    });
  }

  // Of distilling, by what a second and a third epoch add.
  const Probe::PointsCost& epoch(const MergeCase& one) {
    return remembered("epoch", [&](std::int64_t points) {
      MergeProblem few = problem(one, points);
      const auto with_epochs = [&](std::int64_t epochs) {
        few.distillation.epochs = epochs;
        return seconds_of(images_[0]->images.device(), [&] { merge(few, "distill", merged_); });
      };
      return std::max(0.0, with_epochs(3) - with_epochs(1)) / 2;
    });
  }

  const MergeChoices& choices_;
  std::vector<Model*> models_;
  Model &start_, &merged_;
  std::vector<const Dataset*> images_;
  std::map<std::string, Probe::PointsCost>& costs_;
  std::set<std::string> paid_;
};

}  // namespace

Speed Probe::speed(const MergeSetting& setting) {
  const MergeChoices choices = merge_choices(setting);
  const std::size_t n = setting.models.size();
  std::vector<std::unique_ptr<Model>> networks;  // the models, the start, the coded one
  std::vector<const Dataset*> images;
  double seconds = 0, tests = 0;
  for (std::size_t i = 0; i < n + 2; ++i)
    networks.push_back(untrained(setting.models[i % n], i + 1));
  std::vector<Model*> models;
  for (std::size_t i = 0; i < n; ++i) {
    const LoadedData& loaded = data(setting.models[i].dataset);
    models.push_back(networks[i].get());
    images.push_back(&loaded.few);
    seconds += loaded.seconds;
    tests += static_cast<double>(loaded.data.test.size());
  }
  // Merges of as many models of one shape cost the same, whatever their past.
  const std::string kind = fmt::format("{} {} {}", n, models[0]->describe(), choices.distill_batch);
  const double forward = forward_seconds(*models[0], data(setting.models[0].dataset));
  const auto tasks = static_cast<double>(n);
  const auto coded = static_cast<double>(parse_weights(choices.weights, n).size());
  seconds += forward * tests * tasks;  // the models' answers to every task's images
  MergeProbe merging(choices, models, *networks[n], *networks[n + 1], images, merge_costs_[kind]);
  for (const MergeCase& one : merge_cases(choices)) {
    seconds += coded * (merging.seconds(one) + forward * tests);
    if (searches_weights(choices))
      seconds += forward * usual_tries * tasks * static_cast<double>(choices.validation);
    if (has_method(one.recipe, "distill") && choices.curve > 0) {
      const auto scored = static_cast<double>(choices.curve + std::min(one.points, choices.curve));
      seconds += forward * tasks * scored * static_cast<double>(choices.distill_epochs);
    }
  }
  return {seconds, 0};
}

}  // namespace understudy::reproduce
