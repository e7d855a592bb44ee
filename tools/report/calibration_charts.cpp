#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/report/experiment_charts.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

constexpr int own_colours[] = {0, 1, 2, 3, 5};  // the grey is for the line of perfect calibration
constexpr int grey = 4;

std::string name_of(const Outcome& o) {
  return fmt::format("{}, k = {}{}", written_code(o), o.k,
                     o.r == 1 ? "" : fmt::format(", r = {}", o.r));
}

// The codes that reconstruct best, each once, at the smallest r and k that it has.
template <class Has>
std::vector<const Setting*> chosen(const Place& place, Has has) {
  std::vector<const Setting*> all;
  for (const Setting& setting : place.settings)
    if (has(setting.any()) && !is_baseline(setting.any())) all.push_back(&setting);
  std::stable_sort(all.begin(), all.end(), [](const Setting* a, const Setting* b) {
    return std::pair(a->any().r, a->any().k) < std::pair(b->any().r, b->any().k);
  });
  std::set<std::string> seen;
  std::erase_if(all, [&](const Setting* setting) {
    return !seen.insert(written_code(setting->any())).second;
  });
  const auto recovery = [](const Setting* setting) {
    const auto value = setting->value("recovery_accuracy");
    return value ? value->mean : 0;
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Setting* a, const Setting* b) { return recovery(a) > recovery(b); });
  if (all.size() > std::size(own_colours)) all.resize(std::size(own_colours));
  return all;
}

// The bins of all seeds together, where they have the same number of them; else of the first.
std::vector<CalibrationBin> pooled(const Setting& setting) {
  std::vector<CalibrationBin> bins(setting.any().calibration.size());
  for (const Outcome* outcome : setting.seeds) {
    if (outcome->calibration.size() != bins.size()) continue;
    for (std::size_t i = 0; i < bins.size(); ++i) {
      const CalibrationBin& one = outcome->calibration[i];
      CalibrationBin& sum = bins[i];
      sum.count += one.count;
      sum.confidence += one.count * one.confidence;
      sum.accuracy += one.count * one.accuracy;
    }
  }
  std::erase_if(bins, [](const CalibrationBin& bin) { return bin.count <= 0; });
  for (CalibrationBin& bin : bins) bin.confidence /= bin.count, bin.accuracy /= bin.count;
  return bins;
}

// The mean over the seeds that declined the same shares as the first.
std::vector<Kept> averaged(const Setting& setting) {
  std::vector<Kept> mean = setting.any().declining;
  for (Kept& kept : mean) {
    double sum = 0, count = 0;
    for (const Outcome* outcome : setting.seeds)
      for (const Kept& other : outcome->declining)
        if (other.share == kept.share) sum += other.accuracy, ++count;
    kept.accuracy = sum / count;
  }
  return mean;
}

}  // namespace

Chart reliability_chart(const Place& place) {
  Chart chart{.title = place.title + ": are confident reconstructions right?",
              .x_label = "confidence of a reconstructed answer, %",
              .y_label = "right, %",
              .x_scale = Scale::linear};
  const auto settings = chosen(place, [](const Outcome& o) { return !o.calibration.empty(); });
  if (settings.empty()) return chart;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto error = settings[i]->value("expected_calibration_error");
    Series series{
        .name = name_of(settings[i]->any()) +
                (error ? fmt::format(" (calibration error {})", percent(error->mean, 1)) : ""),
        .colour = own_colours[i],
        .mark = Mark::dot};
    for (const CalibrationBin& bin : pooled(*settings[i])) {
      series.x.push_back(100 * bin.confidence);
      series.y.push_back(100 * bin.accuracy);
    }
    chart.series.push_back(std::move(series));
  }
  chart.series.push_back({.name = "as right as confident",
                          .x = {0, 100},
                          .y = {0, 100},
                          .colour = grey,
                          .dashed = true});
  return chart;
}

Chart declining_chart(const Place& place) {
  Chart chart{.title = place.title + ": declining unsure reconstructions",
              .x_label = "share of reconstructed answers declined, the least confident, %",
              .y_label = "right among those kept, %",
              .x_scale = Scale::linear};
  const auto settings = chosen(place, [](const Outcome& o) { return !o.declining.empty(); });
  for (std::size_t i = 0; i < settings.size(); ++i) {
    Series series{.name = name_of(settings[i]->any()), .colour = own_colours[i], .mark = Mark::dot};
    for (const Kept& kept : averaged(*settings[i])) {
      series.x.push_back(100 * kept.share);
      series.y.push_back(100 * kept.accuracy);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace understudy::report
