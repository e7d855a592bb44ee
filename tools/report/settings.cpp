#include "tools/report/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace understudy::report {
namespace {

auto key(const Outcome& o) {
  const std::string channels = o.channels == "aligned" ? "" : o.channels;  // the usual ones
  return std::make_tuple(dataset_rank(o.dataset), o.dataset, base_rank(o.base), o.base, channels,
                         o.k, shown_r(o), code_rank(o.code), o.code, encoder_rank(o.encoder),
                         o.encoder, loss_rank(o.loss), o.loss, o.setting, o.reduced, o.base_model,
                         o.epochs.value_or(-1));
}

}  // namespace

std::optional<Estimate> Setting::value(const std::string& key) const {
  std::vector<double> values;
  for (const Outcome* outcome : seeds)
    if (const auto found = outcome->value(key)) values.push_back(*found);
  return values.empty() ? std::nullopt : std::optional(estimate(values));
}

double Setting::extra_machines() const {
  return any().value("extra_machines_percent").value_or(100.0 * any().r / any().k);
}

std::optional<double> Setting::arithmetic() const {
  const auto encode = any().value("encode_multiply_adds"), base = any().value("base_multiply_adds");
  if (!encode || !base || *base <= 0) return std::nullopt;
  return *encode / *base;
}

std::string Setting::remark() const {
  const Outcome& o = any();
  std::string text = o.reduced;
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  if (o.epochs && o.epochs_published && *o.epochs < *o.epochs_published &&
      o.reduced.find("epoch") == std::string::npos)
    add(fmt::format("{} of {} epochs", *o.epochs, *o.epochs_published));
  for (const Outcome* outcome : seeds)
    if (outcome->learned == false) add(fmt::format("did not learn from seed {}", outcome->seed));
  return text;
}

std::vector<Setting> settings_of(const Experiment& experiment) {
  std::vector<const Outcome*> outcomes;
  for (const Outcome& outcome : experiment.outcomes) outcomes.push_back(&outcome);
  std::stable_sort(outcomes.begin(), outcomes.end(), [](const Outcome* a, const Outcome* b) {
    return std::tuple_cat(key(*a), std::make_tuple(a->seed)) <
           std::tuple_cat(key(*b), std::make_tuple(b->seed));
  });
  std::vector<Setting> settings;
  for (const Outcome* outcome : outcomes) {
    if (settings.empty() || key(settings.back().any()) != key(*outcome)) settings.push_back({});
    settings.back().seeds.push_back(outcome);
  }
  return settings;
}

bool shown_before(const Setting& a, const Setting& b) {
  const auto order = [](const Setting& s) {
    return std::make_tuple(!s.any().reduced.empty(), -s.any().epochs.value_or(0),
                           -static_cast<int>(s.seeds.size()));
  };
  return order(a) < order(b);
}

bool is_baseline(const Outcome& outcome) {
  return outcome.code == "none" || outcome.code == "replication";
}

std::vector<const Setting*> shown_of(const Place& place) {
  std::map<std::tuple<std::string, int, int>, const Setting*> shown;
  for (const Setting& setting : place.settings) {
    const Setting*& at = shown[{written_code(setting.any()), setting.any().r, setting.any().k}];
    if (!at || shown_before(setting, *at)) at = &setting;
  }
  std::vector<const Setting*> all;
  for (const Setting& setting : place.settings)
    for (const auto& [key, kept] : shown)
      if (kept == &setting) all.push_back(&setting);
  return all;
}

std::vector<Place> places_of(const Experiment& experiment) {
  std::vector<Place> places;
  for (Setting& setting : settings_of(experiment)) {
    const std::string title = place_of(setting.any());
    auto at = std::find_if(places.begin(), places.end(),
                           [&](const Place& place) { return place.title == title; });
    if (at == places.end()) at = places.insert(at, Place{title, {}});
    at->settings.push_back(std::move(setting));
  }
  return places;
}

int shown_r(const Outcome& outcome) {
  const bool copies = outcome.code == "replication" && outcome.r % outcome.k == 0;
  return copies ? outcome.r / outcome.k : outcome.r;
}

}  // namespace understudy::report
