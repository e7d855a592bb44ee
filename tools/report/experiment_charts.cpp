#include "tools/report/experiment_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <set>

namespace understudy::report {
namespace {

// Of codes; the grey is for what was published alone.
constexpr int own_colours[] = {0, 1, 2, 3, 5};
constexpr int grey = 4;

Series& named(Chart& chart, const std::string& name, Look look) {
  auto at = std::find_if(chart.series.begin(), chart.series.end(),
                         [&](const Series& s) { return s.name == name; });
  if (at == chart.series.end())
    at = chart.series.insert(at, Series{.name = name,
                                        .colour = look.colour,
                                        .dashed = look.second,
                                        .mark = look.second ? Mark::ring : Mark::dot});
  return *at;
}

void add_point(Series& series, double x, const Estimate& estimate) {
  series.x.push_back(x);
  series.y.push_back(100 * estimate.mean);
  series.error.push_back(estimate.half_width ? 100 * *estimate.half_width
                                             : std::numeric_limits<double>::quiet_NaN());
}

void sort_by_x(Series& series) {
  std::vector<std::size_t> order(series.x.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return series.x[a] < series.x[b]; });
  Series sorted = series;
  for (std::size_t i = 0; i < order.size(); ++i) {
    sorted.x[i] = series.x[order[i]], sorted.y[i] = series.y[order[i]];
    if (!series.error.empty()) sorted.error[i] = series.error[order[i]];
  }
  series = std::move(sorted);
}

// The `most` codes of which most reconstructed answers are right: by how far each is above the others
// at the same k and r, on average, because not every code was run at every k.
std::vector<std::string> best_codes(const Place& place, std::size_t most) {
  std::map<std::pair<int, int>, std::map<std::string, double>> by_units;
  for (const Setting* setting : shown_of(place))
    if (const auto value = setting->value("overall_accuracy");
        value && !is_baseline(setting->any()))
      by_units[{setting->any().r, setting->any().k}][written_code(setting->any())] = value->mean;
  std::map<std::string, std::vector<double>> above;
  for (const auto& [units, codes] : by_units) {
    double mean = 0;
    for (const auto& [name, value] : codes) mean += value / static_cast<double>(codes.size());
    for (const auto& [name, value] : codes) above[name].push_back(value - mean);
  }
  std::vector<std::pair<double, std::string>> order;
  order.reserve(above.size());
  for (const auto& [name, all] : above) order.emplace_back(-estimate(all).mean, name);
  std::sort(order.begin(), order.end());
  std::vector<std::string> best;
  for (const auto& [mean, name] : order)
    if (best.size() < most) best.push_back(name);
  return best;
}

// A chart over one abscissa alone says nothing.
Chart unless_one_x(Chart chart) {
  std::set<double> xs;
  for (const Series& series : chart.series) xs.insert(series.x.begin(), series.x.end());
  if (xs.size() < 2) chart.series.clear();
  for (Series& series : chart.series) sort_by_x(series);
  return chart;
}

// Of many points of a code only the first and the last, its smallest and largest k, keep a label.
void thin_labels(Chart& chart) {
  constexpr std::size_t most = 24;
  std::size_t labels = 0;
  for (const Series& series : chart.series) labels += series.labels.size();
  if (labels <= most) return;
  for (Series& series : chart.series)
    for (std::size_t i = 1; i + 1 < series.labels.size(); ++i) series.labels[i].clear();
}

}  // namespace

Look look_of(const Experiment& experiment, const Outcome& outcome) {
  std::set<std::tuple<int, int, int, std::string>> codes;
  for (const Outcome& each : experiment.outcomes)
    if (!is_baseline(each)) codes.insert(code_order(each));
  const auto at = codes.find(code_order(outcome));
  if (at == codes.end()) return {grey, false};
  const auto index = static_cast<int>(std::distance(codes.begin(), at));
  constexpr int colours = std::size(own_colours);
  return {own_colours[index % colours], index / colours % 2 == 1};
}

Chart chart_over_k(const Experiment& experiment, const Place& place, const std::string& metric) {
  const bool recovery = metric == "recovery_accuracy";
  Chart chart{.title = fmt::format("{}: {} over k, r = 1", place.title,
                                   recovery ? "recovery-accuracy" : "reconstructed answers right"),
              .x_label = "k, queries of a group",
              .y_label = recovery ? "recovery-accuracy, %" : "accuracy, %",
              .y_most = 100};
  for (const Setting* setting : shown_of(place)) {
    const Outcome& o = setting->any();
    const auto value = setting->value(metric);
    if (value && o.r == 1 && !is_baseline(o))
      add_point(named(chart, written_code(o), look_of(experiment, o)), o.k, *value);
  }
  const Outcome& here = place.settings.front().any();
  for (const Published& p : experiment.published) {
    if (p.metric != metric || p.r != 1 || p.code == "none" || p.dataset != here.dataset ||
        p.base != here.base)
      continue;
    const Outcome same{.code = p.code, .encoder = p.encoder, .loss = p.loss};
    Series& series = named(chart, "published: " + written_code(same), look_of(experiment, same));
    series.mark = Mark::diamond;
    series.line = false;
    add_point(series, p.k, {p.value, {}, 1});
  }
  return unless_one_x(std::move(chart));
}

Chart chart_over_redundancy(const Experiment& experiment, const Place& place) {
  Chart chart{.title = place.title + ": reconstructed answers right, over redundancy",
              .x_label = "extra machines, %",
              .y_label = "accuracy, %",
              .x_scale = Scale::linear,
              .y_most = 100};
  const bool several_r =
      std::any_of(place.settings.begin(), place.settings.end(),
                  [](const Setting& s) { return !is_baseline(s.any()) && s.any().r > 1; });
  if (!several_r) {
    for (const Setting* setting : shown_of(place)) {
      const auto value = setting->value("overall_accuracy");
      if (value && !is_baseline(setting->any()))
        add_point(named(chart, written_code(setting->any()), look_of(experiment, setting->any())),
                  setting->extra_machines(), *value);
    }
    return unless_one_x(std::move(chart));
  }
  chart.title += ", the best codes";
  const std::vector<std::string> best = best_codes(place, 3);
  for (const Setting* setting : shown_of(place)) {
    const Outcome& o = setting->any();
    const auto value = setting->value("overall_accuracy");
    const auto at = std::find(best.begin(), best.end(), written_code(o));
    if (!value || at == best.end()) continue;
    const Look look{static_cast<int>(at - best.begin()), o.r > 1};
    add_point(named(chart, fmt::format("{}, r = {}", *at, o.r), look), setting->extra_machines(),
              *value);
  }
  return unless_one_x(std::move(chart));
}

Chart chart_of_cost(const Experiment& experiment, const Place& place) {
  Chart chart{.title = place.title + ": recovery-accuracy against the encoder’s work",
              .x_label = "encoder’s multiply-adds a group / base model’s an answer",
              .y_label = "recovery-accuracy, %",
              .x_scale = Scale::logarithmic,
              .y_most = 100};
  int shown = 0;
  int least_r = std::numeric_limits<int>::max();  // more of them would crowd the chart
  for (const Setting& setting : place.settings)
    if (!is_baseline(setting.any())) least_r = std::min(least_r, setting.any().r);
  for (const Setting* setting : shown_of(place)) {
    const Outcome& o = setting->any();
    const auto value = setting->value("recovery_accuracy");
    const auto arithmetic = setting->arithmetic();
    if (!value || !arithmetic || *arithmetic <= 0 || is_baseline(o) || o.r > least_r) continue;
    Series& series = named(chart, written_code(o), look_of(experiment, o));
    series.line = false;
    add_point(series, *arithmetic, *value);
    ++shown;
    series.labels.push_back(o.r == 1 ? fmt::format("k = {}", o.k)
                                     : fmt::format("k = {}, r = {}", o.k, o.r));
  }
  if (shown < 2) chart.series.clear();
  thin_labels(chart);
  return chart;
}

std::vector<Chart> learning_curves(const Experiment& experiment, const Place& place) {
  std::map<std::pair<int, int>, Chart> charts;
  for (const Setting* setting : shown_of(place)) {
    std::map<double, std::vector<double>> at_epoch;
    std::size_t seeds = 0;
    for (const Outcome* outcome : setting->seeds) {
      seeds += !outcome->curve.empty();
      for (const CurvePoint& point : outcome->curve)
        if (point.recovery) at_epoch[point.epoch].push_back(*point.recovery);
    }
    if (at_epoch.empty()) continue;
    const Outcome& o = setting->any();
    Chart& chart = charts[{o.r, o.k}];
    chart.title = fmt::format("{}, k = {}{}: learning", place.title, o.k,
                              o.r == 1 ? "" : fmt::format(", r = {}", o.r));
    chart.x_label = "epoch";
    chart.y_label = "validation recovery-accuracy, %";
    const Look look = look_of(experiment, o);
    Series series{.name = written_code(o), .colour = look.colour, .dashed = look.second};
    for (const auto& [epoch, values] : at_epoch)
      if (values.size() == seeds) {
        series.x.push_back(epoch);
        series.y.push_back(100 * estimate(values).mean);
      }
    chart.series.push_back(std::move(series));
  }
  std::vector<Chart> all;
  all.reserve(charts.size());
  for (auto& [units, chart] : charts) all.push_back(std::move(chart));
  return all;
}

std::vector<Chart> experiment_charts(const Experiment& experiment) {
  std::vector<Chart> all;
  const bool overall_published =
      std::any_of(experiment.published.begin(), experiment.published.end(),
                  [](const Published& p) { return p.metric == "overall_accuracy"; });
  for (const Place& place : places_of(experiment)) {
    all.push_back(chart_over_k(experiment, place, "recovery_accuracy"));
    if (overall_published) all.push_back(chart_over_k(experiment, place, "overall_accuracy"));
    all.push_back(chart_over_redundancy(experiment, place));
    all.push_back(chart_of_cost(experiment, place));
    for (Chart& chart : learning_curves(experiment, place)) all.push_back(std::move(chart));
    all.push_back(reliability_chart(place));
    all.push_back(declining_chart(place));
  }
  std::erase_if(all, [](const Chart& chart) { return svg(chart).empty(); });
  return all;
}

}  // namespace understudy::report
