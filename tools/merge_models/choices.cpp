#include "tools/merge_models/choices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/check.h"

namespace understudy {
namespace {

// What "all" means: the published methods, and what improves on them. TIES joins where --start is.
const std::vector<std::string> all_methods = {"average", "regmean",    "coin",    "kfac",
                                              "refit",   "coin+refit", "distill", "coin+distill"};

std::vector<std::string> parse_methods(const MergeChoices& choices) {
  if (choices.method == "all") {
    std::vector<std::string> methods = all_methods;
    if (!choices.start.empty()) methods.insert(methods.begin() + 1, {"ties", "ties+refit"});
    return methods;
  }
  std::vector<std::string> methods = split_list(choices.method, "--method");
  for (const std::string& method : methods)
    if (std::count(methods.begin(), methods.end(), method) > 1)
      throw UsageError(fmt::format("--method '{}': {} is there twice", choices.method, method));
  return methods;
}

std::vector<double> parse_numbers(const std::string& text, const char* flag) {
  std::vector<double> numbers;
  for (const std::string& item : split_list(text, flag)) {
    double number = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), number);
    if (error != std::errc() || end != item.data() + item.size() || !std::isfinite(number))
      throw UsageError(fmt::format("{} '{}': expected numbers, found '{}'", flag, text, item));
    numbers.push_back(number);
  }
  return numbers;
}

std::vector<std::string> one_of_each(const std::string& text, const char* flag,
                                     const std::vector<std::string>& known) {
  const std::vector<std::string> items = split_list(text, flag);
  for (const std::string& item : items)
    if (std::find(known.begin(), known.end(), item) == known.end())
      throw UsageError(fmt::format("{} '{}': expected some of {}, found '{}'", flag, text,
                                   fmt::join(known, ", "), item));
  return items;
}

}  // namespace

void add_choices(Options& options, MergeChoices& choices) {
  options.add("models", &choices.models,
              "the trained models, with commas between them: run folders or safetensors files");
  options.add("datasets", &choices.datasets,
              "the data set of each model, with commas between them; none: merge without data, and "
              "without a score");
  options.add("start", &choices.start,
              "what all models were trained from, a run folder or safetensors file; for ties");
  options.add("model", &choices.architecture,
              "architecture of --models files that do not say it, e.g. 'mlp 784-400-400-10'");
  options.add("method", &choices.method,
              fmt::format("{}; chains such as coin+refit; several with commas, or all: {}",
                          fmt::join(merge_method_names(), ", "), fmt::join(all_methods, ", ")));
  options.add("weights", &choices.weights,
              "the weight β of each model in the coded one, scaled to sum 1; several coded models "
              "with ';' between theirs; empty: equal; best: found on --validation images");
  options
      .add("points", &choices.points,
           "training images of each task that a method may look at; several with commas")
      .at_least(1)
      .at_most(1 << 20);
  options.add("fisher", &choices.fisher,
              "the Fisher information of coin and kfac: gaussian, classification, sampled, "
              "empirical; several with commas");
  options.add("fisher-data", &choices.fisher_data,
              "own: what coin, kfac and regmean measure of a model, on its own task's points; "
              "union: on those of all tasks; or both");
  options.add("damping", &choices.damping, "added to coin's Fisher values; several with commas");
  options.add("fishers", &choices.fishers,
              "files of 'merge_models fisher', one for each model, for coin without data");
  options
      .add("kfac-damping", &choices.kfac_damping,
           "added to the diagonal of kfac's factors, relative to its mean")
      .at_least(0);
  options
      .add("off-diagonal", &choices.off_diagonal,
           "what regmean scales the off-diagonal of its matrices by")
      .at_least(0)
      .at_most(1);
  options
      .add("ridge", &choices.ridge,
           "of refit and sequential, relative to the mean square of an input")
      .above(0);
  options.add("ties-density", &choices.ties_density, "share of the changes that ties keeps")
      .above(0)
      .at_most(1);
  options.add("ties-scale", &choices.ties_scale, "what ties scales the merged change by").above(0);
  options.add("distill-epochs", &choices.distill_epochs, "passes of distill over the points")
      .at_least(1);
  options.add("distill-lr", &choices.distill_lr, "its learning rate at the start").above(0);
  options.add("distill-batch", &choices.distill_batch, "points in a step of it").at_least(1);
  options
      .add(
          "distill-seconds", &choices.distill_seconds,
          "ends distill after the epoch that reaches it, which depends on the machine; 0: no limit")
      .at_least(0);
  options
      .add("curve", &choices.curve,
           "score distill after every epoch, on so many points and test images; 0: no curve")
      .at_least(0);
  options
      .add("validation", &choices.validation,
           "training images of each task, beside the points, for --weights best")
      .at_least(1);
  options.add("explain", &choices.explain,
              "print each tensor's Fisher information and how far apart the models are");
}

std::string MergeCase::label(const MergeChoices& choices) const {
  std::string text = recipe;
  if (points > 0 && choices.points.size() > 1) text += fmt::format(" P={}", points);
  if (!fisher.empty() && choices.fisher.find(',') != std::string::npos) text += " " + fisher;
  if (!fisher_data.empty() && choices.fisher_data.find(',') != std::string::npos)
    text += " " + fisher_data;
  if (damping >= 0 && choices.damping.find(',') != std::string::npos)
    text += fmt::format(" damping={:g}", damping);
  return text;
}

std::vector<MergeCase> merge_cases(const MergeChoices& choices) {
  const std::vector<std::string> kinds = one_of_each(
      choices.fisher, "--fisher", {"gaussian", "classification", "sampled", "empirical"});
  const std::vector<std::string> data =
      one_of_each(choices.fisher_data, "--fisher-data", {"own", "union"});
  const std::vector<double> dampings = parse_numbers(choices.damping, "--damping");
  for (const double damping : dampings)
    if (damping < 0)
      throw UsageError(fmt::format("--damping '{}': expected 0 or more", choices.damping));
  const bool given = !choices.fishers.empty();
  std::vector<MergeCase> cases;
  const auto add = [&](const MergeCase& one) {
    const bool there = std::any_of(cases.begin(), cases.end(), [&](const MergeCase& other) {
      return other.recipe == one.recipe && other.points == one.points &&
             other.fisher == one.fisher && other.fisher_data == one.fisher_data &&
             other.damping == one.damping;
    });
    if (!there) cases.push_back(one);
  };
  for (const std::string& recipe : parse_methods(choices)) check_recipe(recipe);
  for (const std::int64_t points : choices.points)
    for (const std::string& recipe : parse_methods(choices))
      for (const std::string& kind : kinds)
        for (const std::string& where : data)
          for (const double damping : dampings) {
            MergeCase one{.recipe = recipe};
            const bool coin = has_method(recipe, "coin"), kfac = has_method(recipe, "kfac");
            const bool regmean =
                has_method(recipe, "regmean") || has_method(recipe, "regmean-conv");
            const bool from_files = given && coin;
            if (from_files && has_method(recipe, "rebasin"))
              throw UsageError(fmt::format(
                  "--method {}: the Fisher information of --fishers is of the models as they are, "
                  "and rebasin permutes their units; leave out one of the two",
                  recipe));
            MergeNeeds needs = needs_of(recipe);
            if (from_files && recipe == "coin") needs.points = false;
            if (needs.start && choices.start.empty())
              throw UsageError(fmt::format(
                  "--method {}: ties needs --start, what all models were trained from", recipe));
            if (needs.points && choices.datasets.empty())
              throw UsageError(
                  fmt::format("--method {}: needs points of every task: --datasets", recipe));
            if (needs.points) one.points = points;
            if (coin || kfac) one.fisher = from_files && !kfac ? "given" : kind;
            if ((coin && !from_files) || kfac || regmean) one.fisher_data = where;
            if (coin) one.damping = damping;
            add(one);
          }
  return cases;
}

bool searches_weights(const MergeChoices& choices) { return choices.weights == "best"; }

std::vector<std::vector<double>> parse_weights(const std::string& text, std::size_t n) {
  if (text.empty() || text == "best") return {normalized_weights({}, n)};
  std::vector<std::vector<double>> rows;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    rows.push_back(
        normalized_weights(parse_numbers(text.substr(begin, end - begin), "--weights"), n));
    begin = end + 1;
  }
  if (rows.size() > n)
    throw UsageError(
        fmt::format("--weights '{}': {} coded models for {} models; at most as many "
                    "make sense",
                    text, rows.size(), n));
  return rows;
}

}  // namespace understudy
