#include "tools/report/merge_outcome.h"

#include <fmt/format.h>

#include <tuple>

#include "kernels/check.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

constexpr std::int64_t most_models = 1000, most_points = 1'000'000'000, most_epochs = 1'000'000'000,
                       most_seed = std::int64_t{1} << 53;
// Beyond these a number is damaged, not measured; the error of a merge that failed may be large.
constexpr double most_percent = 1e6, most_seconds = 1e10, most_bytes = 1e18, most_error = 1e30;

constexpr const char* score_key = "normalised_decoding_accuracy";

std::optional<double> bounded(const Fields& fields, const char* key, double most) {
  const auto value = fields.number(key);
  if (value)
    check(*value >= 0 && *value <= most, "{}: \"{}\": expected a number from 0 to {:.0f}, found {}",
          fields.place(), key, most, *value);
  return value;
}

void read_merge_values(const Fields& fields, std::map<std::string, double>& values) {
  const auto keep = [&](const char* key, std::optional<double> value) {
    if (value) values[key] = *value;
  };
  keep(score_key, bounded(fields, score_key, most_percent));
  keep("seconds", bounded(fields, "seconds", most_seconds));
  for (const char* key : {score_key, "seconds"})
    check(values.contains(key), "{}: \"{}\": expected a number, found nothing", fields.place(),
          key);
  keep("peak_bytes", bounded(fields, "peak_bytes", most_bytes));
  keep("relative_output_error", bounded(fields, "relative_output_error", most_error));
  for (const char* key : {"recovery_accuracy", "decoded_accuracy"})
    keep(key, fields.optional_fraction(key));
}

// One for each of `models`, or none where the line has none.
std::vector<double> accuracies(const Fields& line, const char* key, std::size_t models) {
  const std::vector<double> all = line.numbers(key);
  check(all.empty() || all.size() == models, "{}: \"{}\": expected {} numbers, found {}",
        line.place(), key, models, all.size());
  for (const double accuracy : all)
    check(accuracy >= 0 && accuracy <= 1, "{}: \"{}\": expected fractions from 0 to 1, found {}",
          line.place(), key, accuracy);
  return all;
}

auto identity(const MergeOutcome& m) {
  return std::tie(m.setting, m.tasks, m.base, m.base_model, m.initialisation, m.start, m.reduced,
                  m.method, m.points, m.fisher, m.fisher_data, m.damping, m.weights, m.searched,
                  m.seed);
}

}  // namespace

std::optional<double> MergeOutcome::value(const std::string& key) const {
  const auto at = values.find(key);
  return at == values.end() ? std::nullopt : std::optional(at->second);
}

MergeOutcome read_merge(const Fields& line) {
  MergeOutcome merge{.setting = line.text("setting"),
                     .tasks = line.texts("tasks"),
                     .base = line.text("base"),
                     .base_model = line.text_or("base_model", ""),
                     .initialisation = line.text("initialisation"),
                     .start = line.text_or("start", ""),
                     .reduced = line.text_or("reduced", ""),
                     .seed = line.optional_whole("seed", 0, most_seed).value_or(0),
                     .method = line.text("method"),
                     .points = line.optional_whole("points", 1, most_points),
                     .fisher = line.text_or("fisher", ""),
                     .fisher_data = line.text_or("fisher_data", ""),
                     .damping = bounded(line, "damping", most_percent),
                     .commit = line.text_or("commit", ""),
                     .device = line.text_or("device", ""),
                     .instruction_set = line.text_or("instruction_set", ""),
                     .command = line.text_or("command", ""),
                     .threads = line.optional_whole("threads", 1, 1000),
                     .place = line.place()};
  const auto models = static_cast<std::size_t>(line.whole("models", 2, most_models));
  check(merge.tasks.size() == models, "{}: \"tasks\": expected one for each of {} models, found {}",
        line.place(), models, merge.tasks.size());
  merge.weights = line.number_rows("weights");
  for (const std::vector<double>& row : merge.weights)
    check(row.size() == models, "{}: \"weights\": expected {} numbers, found {}", line.place(),
          models, row.size());
  merge.searched = line.has("searched");
  merge.base_accuracies = accuracies(line, "base_accuracies", models);
  merge.decoded_accuracies = accuracies(line, "decoded_accuracies", models);
  read_merge_values(line.object("values"), merge.values);
  for (const Fields& point : line.objects("curve"))
    merge.curve.push_back(
        {.epoch = static_cast<double>(point.whole("epoch", 0, most_epochs)),
         .seconds = bounded(point, "seconds", most_seconds),
         .train = bounded(point, "train_normalised_decoding_accuracy", most_percent),
         .test = bounded(point, score_key, most_percent)});
  return merge;
}

void add_merge(std::vector<MergeOutcome>& merges, MergeOutcome merge) {
  for (const MergeOutcome& other : merges)
    if (identity(other) == identity(merge)) {
      check(other.values == merge.values && other.commit == merge.commit &&
                other.command == merge.command,
            "{}: another result of \"{}\" by {} with seed {} than at {}: expected one for each "
            "setting and seed",
            merge.place, printable(merge.setting), printable(merge.method), merge.seed,
            other.place);
      return;
    }
  merges.push_back(std::move(merge));
}

}  // namespace understudy::report
