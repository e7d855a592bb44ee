#include "tools/report/merge_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "tools/report/markup.h"

namespace understudy::report {
namespace {

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();
constexpr const char* score_label = "normalised decoding accuracy, %";
constexpr int average_colour = 4;  // grey

void add_point(Series& series, double x, const Estimate& estimate) {
  series.x.push_back(x);
  series.y.push_back(estimate.mean);
  series.error.push_back(estimate.half_width.value_or(no_value));
}

// A reconstructed answer can be right more often than the model's own, so that 100 is no limit; where
// none is, intervals end there.
Chart limited(Chart chart) {
  chart.y_least = 0;
  bool within = true;
  for (const Series& series : chart.series)
    within = within &&
             std::all_of(series.y.begin(), series.y.end(), [](double y) { return !(y > 100); });
  if (within) chart.y_most = 100;
  return chart;
}

// By how far each method is above the others at the same P, on average, because not every one was run
// at every P; the best first.
std::vector<const MergeRow*> best_first(const MergePlace& place,
                                        std::vector<const MergeRow*> rows) {
  std::map<const MergeRow*, std::vector<double>> above;
  for (const auto& points : place.points) {
    if (!points) continue;
    std::vector<double> scores;
    for (const MergeRow* row : rows)
      if (const MergeSetting* setting = row->at(points)) scores.push_back(setting->score().mean);
    for (const MergeRow* row : rows)
      if (const MergeSetting* setting = row->at(points))
        above[row].push_back(setting->score().mean - estimate(scores).mean);
  }
  std::erase_if(rows, [&](const MergeRow* row) { return !above.contains(row); });
  std::stable_sort(rows.begin(), rows.end(), [&](const MergeRow* a, const MergeRow* b) {
    return estimate(above[a]).mean > estimate(above[b]).mean;
  });
  return rows;
}

Chart over_points(const MergePlace& place, const std::vector<ChartedRow>& rows,
                  const std::string& title) {
  Chart chart{.title = title,
              .x_label = "P, training images of each task",
              .y_label = score_label,
              .x_scale = Scale::logarithmic};
  if (std::count_if(place.points.begin(), place.points.end(),
                    [](const auto& points) { return points.has_value(); }) < 2)
    return chart;  // over one abscissa alone it says nothing
  for (const auto& [row, colour] : rows) {
    Series series{.name = row->name(), .colour = colour, .mark = Mark::dot};
    for (const MergeSetting& setting : row->settings)
      if (setting.any().points)
        add_point(series, static_cast<double>(*setting.any().points), setting.score());
    // What looks at no points is the same for every P.
    if (const MergeSetting* always = row->at({}); always && series.x.empty()) {
      series.mark = Mark::none, series.dashed = true;
      for (const auto& points : place.points)
        if (points) add_point(series, static_cast<double>(*points), always->score());
      series.error.clear();
    }
    chart.series.push_back(std::move(series));
  }
  return limited(std::move(chart));
}

// A line over epochs, as far as all seeds went.
Series curve_of(const MergeSetting& setting, std::optional<double> MergeCurvePoint::*score) {
  std::map<double, std::vector<double>> at_epoch;
  for (const MergeOutcome* merge : setting.seeds)
    for (const MergeCurvePoint& point : merge->curve)
      if (point.*score) at_epoch[point.epoch].push_back(*(point.*score));
  Series series{.band = true};
  std::size_t seeds = 0;
  for (const MergeOutcome* merge : setting.seeds) seeds += !merge->curve.empty();
  for (const auto& [epoch, scores] : at_epoch)
    if (scores.size() == seeds) add_point(series, epoch, estimate(scores));
  return series;
}

bool has_curve(const MergeSetting& setting) {
  return std::any_of(setting.seeds.begin(), setting.seeds.end(),
                     [](const MergeOutcome* merge) { return !merge->curve.empty(); });
}

}  // namespace

std::vector<ChartedRow> charted_rows(const MergePlace& place) {
  std::vector<ChartedRow> charted;
  std::vector<const MergeRow*> others;
  for (const MergeRow& row : place.rows)
    if (place.usual(row.any().method) == &row) others.push_back(&row);
  const auto take = [&](const MergeRow* row, int colour) {
    if (!row) return;
    charted.push_back({row, colour});
    std::erase(others, row);
  };
  take(place.usual("coin"), 0);
  take(place.usual("regmean"), 1);
  take(place.usual("distill"), 2);
  const MergeRow* average = place.usual("average");
  std::erase(others, average);
  others = best_first(place, std::move(others));
  constexpr int colours[] = {3, 5};
  for (std::size_t i = 0; i < std::size(colours) && i < others.size(); ++i)
    charted.push_back({others[i], colours[i]});
  take(average, average_colour);
  return charted;
}

Chart chart_over_points(const MergePlace& place) {
  return over_points(place, charted_rows(place), "Accuracy over P");
}

Chart chart_of_choices(const MergePlace& place) {
  constexpr int colours = 6;
  std::vector<ChartedRow> rows;
  for (const MergeRow& row : place.rows)
    if (row.any().method == "coin") rows.push_back({&row, static_cast<int>(rows.size()) % colours});
  if (rows.size() < 2) return {};
  Chart chart = over_points(place, rows, "COIN by its Fisher information");
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    // The chart is of COIN alone, so what stands behind the name is enough.
    const MergeRow& row = *rows[i].row;
    Series& series = chart.series[i];
    series.name = row.fisher();
    if (place.has_other_weights())
      series.name +=
          fmt::format("{}β = {}", series.name.empty() ? "" : ", ", written_weights(row.any()));
    if (i >= colours) series.dashed = true, series.mark = Mark::ring;
  }
  return chart;
}

Chart chart_over_seconds(const MergePlace& place) {
  Chart chart{.title = "Accuracy over the time that merging takes",
              .x_label = "seconds",
              .y_label = score_label,
              .x_scale = Scale::logarithmic};
  for (const auto& [row, colour] : charted_rows(place)) {
    Series series{.name = row->name(), .colour = colour, .mark = Mark::dot};
    for (const MergeSetting& setting : row->settings) {
      if (setting.seconds().mean <= 0) continue;
      add_point(series, setting.seconds().mean, setting.score());
      const auto points = setting.any().points;
      series.labels.push_back(points ? grouped(*points) : "");
    }
    // The ends tell the direction in which P grows.
    for (std::size_t i = 1; i + 1 < series.labels.size(); ++i) series.labels[i].clear();
    if (series.x.size() < 2) series.line = false;
    chart.series.push_back(std::move(series));
  }
  return limited(std::move(chart));
}

std::vector<Chart> distillation_charts(const MergePlace& place) {
  std::vector<Chart> charts;
  for (const MergeRow& row : place.rows) {
    if (place.usual(row.any().method) != &row) continue;
    std::vector<const MergeSetting*> ends;
    for (const MergeSetting& setting : row.settings)
      if (has_curve(setting)) ends.push_back(&setting);
    if (ends.size() > 2) ends.erase(ends.begin() + 1, ends.end() - 1);
    Chart chart{.title = capitalised(row.name()) + ", over epochs",
                .x_label = "epoch",
                .y_label = score_label};
    int colour = 0;
    for (const MergeSetting* setting : ends) {
      const std::string points = written_points(setting->any().points);
      for (const bool train : {false, true}) {
        Series series =
            curve_of(*setting, train ? &MergeCurvePoint::train : &MergeCurvePoint::test);
        series.name = fmt::format("{}: {}", points, train ? "train" : "test");
        series.colour = colour;
        series.dashed = train;
        chart.series.push_back(std::move(series));
      }
      ++colour;
    }
    charts.push_back(limited(std::move(chart)));
  }
  std::erase_if(charts, [](const Chart& chart) { return svg(chart).empty(); });
  return charts;
}

std::vector<Chart> merge_charts(const MergePlace& place) {
  std::vector<Chart> charts = {chart_over_points(place), chart_over_seconds(place)};
  for (Chart& chart : distillation_charts(place)) charts.push_back(std::move(chart));
  charts.push_back(chart_of_choices(place));
  std::erase_if(charts, [](const Chart& chart) { return svg(chart).empty(); });
  return charts;
}

}  // namespace understudy::report
