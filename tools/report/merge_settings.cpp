#include "tools/report/merge_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "kernels/check.h"
#include "tools/report/markup.h"
#include "tools/report/results.h"
#include "tools/report/settings.h"

namespace understudy::report {
namespace {

// One coded model, in which every model weighs the same; also where nothing is said.
bool equal_weights(const MergeOutcome& m) {
  if (m.searched || m.weights.size() > 1) return false;
  return m.weights.empty() ||
         std::all_of(m.weights[0].begin(), m.weights[0].end(), [&](double weight) {
           return std::abs(weight - m.weights[0][0]) <= 1e-6 * std::abs(m.weights[0][0]);
         });
}

// What a Fisher kind, its data and its damping are when nothing is said: those of the paper.
bool usual_fisher(const MergeOutcome& m) {
  return (m.fisher.empty() || m.fisher == "gaussian") &&
         (m.fisher_data.empty() || m.fisher_data == "own") && m.damping.value_or(0) == 0;
}

auto place_key(const MergeOutcome& m) {
  std::vector<std::pair<int, std::string>> tasks;
  for (const std::string& task : m.tasks) tasks.emplace_back(dataset_rank(task), task);
  // What was fine-tuned from one network comes first.
  return std::make_tuple(base_rank(m.base), m.base, m.tasks.size(),
                         m.initialisation != "pretrained", m.initialisation, tasks, m.start,
                         m.reduced, m.base_model);
}

// The usual choice of everything comes first.
auto row_key(const MergeOutcome& m) {
  // Weights that are searched for are others for each seed.
  const auto weights = m.searched ? decltype(m.weights)() : m.weights;
  return std::make_tuple(method_rank(m.method), m.method, !equal_weights(m), m.searched, weights,
                         fisher_rank(m.fisher), m.fisher, m.fisher_data, m.damping);
}

auto key(const MergeOutcome& m) {
  return std::make_tuple(place_key(m), row_key(m), m.points, m.setting);
}

// "mnist-rgb32" → "MNIST": that it has the shape of the others goes without saying in a heading.
std::string short_name(std::string task) {
  if (const std::string shape = "-rgb32"; task.ends_with(shape))
    task.erase(task.size() - shape.size());
  return written_name(task);
}

std::string written_initialisation(const MergeOutcome& m) {
  if (m.initialisation == "pretrained")
    return "fine-tuned from one network" + (m.start.empty() ? "" : " for " + written_name(m.start));
  if (m.initialisation == "same") return "from one random start";
  if (m.initialisation == "independent") return "from independent starts";
  return m.initialisation;
}

// Of two settings of one cell the one with more seeds.
void add_setting(MergeRow& row, MergeSetting setting) {
  if (!row.settings.empty() && row.settings.back().any().points == setting.any().points) {
    if (row.settings.back().seeds.size() < setting.seeds.size())
      row.settings.back() = std::move(setting);
    return;
  }
  row.settings.push_back(std::move(setting));
}

std::vector<MergeSetting> merge_settings(const Experiment& experiment) {
  std::vector<const MergeOutcome*> merges;
  for (const MergeOutcome& merge : experiment.merges) merges.push_back(&merge);
  std::stable_sort(merges.begin(), merges.end(), [](const MergeOutcome* a, const MergeOutcome* b) {
    return std::make_tuple(key(*a), a->seed) < std::make_tuple(key(*b), b->seed);
  });
  std::vector<MergeSetting> settings;
  for (const MergeOutcome* merge : merges) {
    if (settings.empty() || key(settings.back().any()) != key(*merge)) settings.push_back({});
    settings.back().seeds.push_back(merge);
  }
  return settings;
}

}  // namespace

std::string written_place(const MergeOutcome& m) {
  std::string title;
  for (std::size_t i = 0; i < m.tasks.size(); ++i)
    title += (i == 0 ? "" : i + 1 < m.tasks.size() ? ", " : " and ") + short_name(m.tasks[i]);
  title += ", " + written_base(m.base);
  if (!m.reduced.empty()) title += fmt::format(" ({})", m.reduced);
  return fmt::format("{}, n\u00a0=\u00a0{}, {}", title, m.tasks.size(), written_initialisation(m));
}

std::optional<Estimate> MergeSetting::value(const std::string& key) const {
  std::vector<double> values;
  for (const MergeOutcome* merge : seeds)
    if (const auto found = merge->value(key)) values.push_back(*found);
  return values.empty() ? std::nullopt : std::optional(estimate(values));
}

Estimate MergeSetting::score() const { return value("normalised_decoding_accuracy").value(); }
Estimate MergeSetting::seconds() const { return value("seconds").value(); }

std::string written_points(std::optional<std::int64_t> points) {
  return points ? "P\u00a0=\u00a0" + grouped(*points) : "no\u00a0points";
}

const MergeSetting* MergeRow::at(std::optional<std::int64_t> points) const {
  for (const MergeSetting& setting : settings)
    if (setting.any().points == points) return &setting;
  return nullptr;
}

std::string MergeRow::method() const { return written_method(any().method); }

std::string MergeRow::fisher() const {
  std::string text = written_fisher(any().fisher);
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  if (!any().fisher_data.empty()) add(any().fisher_data);
  if (any().damping.value_or(0) > 0) add(fmt::format("damping {:.3g}", *any().damping));
  return text;
}

std::string MergeRow::name() const {
  std::string other;
  if (!usual_fisher(any())) other = fisher();
  if (!equal_weights(any()))
    other += fmt::format("{}β = {}", other.empty() ? "" : ", ", written_weights(any()));
  return other.empty() ? method() : fmt::format("{} ({})", method(), other);
}

const MergeRow* MergePlace::usual(const std::string& method) const {
  // Rows of a method begin with the most usual one.
  for (const MergeRow& row : rows)
    if (row.any().method == method) return &row;
  return nullptr;
}

bool MergePlace::has_other_weights() const {
  return std::any_of(rows.begin(), rows.end(),
                     [](const MergeRow& row) { return !equal_weights(row.any()); });
}

std::vector<MergePlace> merge_places(const Experiment& experiment) {
  std::vector<MergePlace> places;
  for (MergeSetting& setting : merge_settings(experiment)) {
    const MergeOutcome& m = setting.any();
    if (places.empty() || place_key(places.back().any()) != place_key(m))
      places.push_back({written_place(m), {}, {}});
    MergePlace& place = places.back();
    if (place.rows.empty() || row_key(place.rows.back().any()) != row_key(m))
      place.rows.push_back({});
    place.points.insert(m.points);
    add_setting(place.rows.back(), std::move(setting));
  }
  // Places that differ in the sizes of the models alone are told apart by these.
  for (std::size_t i = 0; i < places.size(); ++i)
    for (std::size_t j = i + 1; j < places.size(); ++j)
      if (places[i].title == places[j].title)
        for (MergePlace* place : {&places[i], &places[j]})
          place->title += ", " + place->any().base_model;
  return places;
}

std::optional<Estimate> difference(const MergeSetting& a, const MergeSetting& b) {
  std::vector<double> differences;
  for (const MergeOutcome* ours : a.seeds)
    for (const MergeOutcome* other : b.seeds)
      if (ours->seed == other->seed)
        differences.push_back(*ours->value("normalised_decoding_accuracy") -
                              *other->value("normalised_decoding_accuracy"));
  return differences.empty() ? std::nullopt : std::optional(estimate(differences));
}

}  // namespace understudy::report
