#include "tools/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "kernels/check.h"
#include "tools/report/markup.h"
#include "tools/report/point_labels.h"

namespace understudy::report {
namespace {

// The drawing's frame, in SVG units: the plot lies between these edges.
constexpr double width = 480, height = 300, left = 50, right = 468, top = 30, bottom = 254;

// Values that span more than this factor are easier to read on a log scale.
constexpr double log_ratio = 15;
constexpr const char* log_words = ", logarithmic scale";

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double value) { low = std::min(low, value), high = std::max(high, value); }
};

double across(const Axis& axis, double x) { return left + axis.place(x) * (right - left); }
double upward(const Axis& axis, double y) { return bottom - axis.place(y) * (bottom - top); }

bool drawable_at(const Series& s, std::size_t i, Scale x_scale) {
  return std::isfinite(s.x[i]) && std::isfinite(s.y[i]) &&
         (x_scale != Scale::logarithmic || s.x[i] > 0);
}

bool has_points(const Series& s, Scale x_scale) {
  for (std::size_t i = 0; i < s.x.size(); ++i)
    if (drawable_at(s, i, x_scale)) return true;
  return false;
}

void draw_axes(std::string& out, const Chart& chart, const Axis& x, const Axis& y) {
  auto to = std::back_inserter(out);
  for (const double t : y.ticks) {
    const double at = upward(y, t);
    fmt::format_to(to, R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", left,
                   right, at, at);
    fmt::format_to(to, R"(<text class="tick end" x="{}" y="{:.1f}">{}</text>)", left - 8, at + 3.8,
                   tick_label(y, t));
  }
  fmt::format_to(to, R"(<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>)", left, right, bottom,
                 bottom);
  for (const double t : x.ticks) {
    const double at = across(x, t);
    fmt::format_to(to, R"(<line class="axis" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>)", at, at,
                   bottom, bottom + 4);
    fmt::format_to(to, R"(<text class="tick middle" x="{:.1f}" y="{}">{}</text>)", at, bottom + 18,
                   tick_label(x, t));
  }
  fmt::format_to(to, R"(<text class="label middle" x="{}" y="{}">{}{}</text>)", (left + right) / 2,
                 height - 8, escape(chart.x_label), x.logarithmic ? log_words : "");
  fmt::format_to(to, R"(<text class="label" x="2" y="{}">{}{}</text>)", top - 16,
                 escape(chart.y_label), y.logarithmic ? log_words : "");
}

std::string mark_at(Mark mark, int colour, double x, double y) {
  if (mark == Mark::diamond)
    return fmt::format(R"(<path class="ring s{}" d="M{:.1f} {:.1f}l4 4l-4 4l-4-4z"/>)", colour, x,
                       y - 4);
  if (mark == Mark::ring)
    return fmt::format(R"(<circle class="ring s{}" cx="{:.1f}" cy="{:.1f}" r="2.8"/>)", colour, x,
                       y);
  return fmt::format(R"(<circle class="dot s{}" cx="{:.1f}" cy="{:.1f}" r="2.6"/>)", colour, x, y);
}

std::string error_bar(int colour, double x, double low, double high) {
  return fmt::format(R"(<path class="bar s{}" d="M{:.1f} {:.1f}h6m-3 0V{:.1f}m-3 0h6"/>)", colour,
                     x - 3, low, high);
}

// y ± error, kept within the plot.
struct Interval {
  double low = 0, high = 0;
};

std::optional<Interval> interval_at(const Series& s, std::size_t i, const Axis& y) {
  if (s.error.empty() || !std::isfinite(s.error[i]) || y.logarithmic) return std::nullopt;
  return Interval{std::max(y.low, s.y[i] - s.error[i]), std::min(y.high, s.y[i] + s.error[i])};
}

// A closed shape for each stretch of two or more points that have an interval.
void draw_band(std::string& out, const Chart& chart, const Series& s, const Axis& x,
               const Axis& y) {
  std::string above, below;
  std::size_t points = 0;
  const auto close = [&] {
    if (points > 1)
      fmt::format_to(std::back_inserter(out), R"(<path class="band s{}" d="M{}L{}z"/>)", s.colour,
                     above, below);
    above.clear(), below.clear(), points = 0;
  };
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    const auto interval = drawable_at(s, i, chart.x_scale) ? interval_at(s, i, y) : std::nullopt;
    if (!interval) {
      close();
      continue;
    }
    const double px = across(x, s.x[i]);
    above += fmt::format("{}{:.1f} {:.1f}", points ? "L" : "", px, upward(y, interval->high));
    below =
        fmt::format("{:.1f} {:.1f}{}{}", px, upward(y, interval->low), points ? "L" : "", below);
    ++points;
  }
  close();
}

void draw_series(std::string& out, const Chart& chart, const Series& s, const Axis& x,
                 const Axis& y) {
  std::string path, marks;
  bool pen_down = false;
  std::size_t drawn = 0;
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    const bool here = drawable_at(s, i, chart.x_scale);
    if (here) {
      const double px = across(x, s.x[i]), py = upward(y, s.y[i]);
      fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", pen_down ? "L" : "M", px, py);
      if (const auto interval = interval_at(s, i, y); interval && !s.band)
        marks += error_bar(s.colour, px, upward(y, interval->low), upward(y, interval->high));
      marks += mark_at(s.mark, s.colour, px, py);
      ++drawn;
    }
    pen_down = here;
  }
  if (s.line)
    fmt::format_to(std::back_inserter(out), R"(<path class="line s{}{}" d="{}"/>)", s.colour,
                   s.dashed ? " dash" : "", path);
  // A line of one point would be invisible.
  if (s.mark != Mark::none || !s.line || drawn == 1) out += marks;
}

std::vector<PointLabel> labels_of(const Chart& chart, const Axis& x, const Axis& y) {
  std::vector<PointLabel> labels;
  for (const Series& s : chart.series)
    for (std::size_t i = 0; i < s.labels.size(); ++i)
      if (drawable_at(s, i, chart.x_scale))
        labels.push_back({s.labels[i], across(x, s.x[i]), upward(y, s.y[i])});
  return labels;
}

Axis axis_of(Scale scale, double low, double high) {
  if (scale == Scale::whole_numbers) return count_axis(low, high);
  return scale == Scale::logarithmic ? log_axis(low, high) : linear_axis(low, high);
}

}  // namespace

std::string svg(const Chart& chart) {
  Range xs, ys;
  for (const Series& s : chart.series) {
    check(s.x.size() == s.y.size(), "[svg] series \"{}\": {} x and {} y values", s.name, s.x.size(),
          s.y.size());
    check((s.error.empty() || s.error.size() == s.x.size()) &&
              (s.labels.empty() || s.labels.size() == s.x.size()),
          "[svg] series \"{}\": {} errors and {} labels for {} points", s.name, s.error.size(),
          s.labels.size(), s.x.size());
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!drawable_at(s, i, chart.x_scale)) continue;
      const double error = s.error.empty() || !std::isfinite(s.error[i]) ? 0 : s.error[i];
      xs.take(s.x[i]), ys.take(s.y[i] - error), ys.take(s.y[i] + error);
      if (chart.y_most && s.y[i] <= *chart.y_most) ys.high = std::min(ys.high, *chart.y_most);
      if (chart.y_least && s.y[i] >= *chart.y_least) ys.low = std::max(ys.low, *chart.y_least);
    }
  }
  if (xs.low > xs.high) return "";
  const Axis x = axis_of(chart.x_scale, xs.low, xs.high);
  const bool log = chart.may_use_log && ys.low > 0 && ys.high > log_ratio * ys.low;
  Axis y = axis_of(log ? Scale::logarithmic : Scale::linear, ys.low, ys.high);
  if (chart.y_most && ys.high <= *chart.y_most && y.high > *chart.y_most) {
    y.high = *chart.y_most;
    std::erase_if(y.ticks, [&](double tick) { return tick > y.high; });
  }
  if (chart.y_least && ys.low >= *chart.y_least && y.low < *chart.y_least) {
    y.low = *chart.y_least;
    std::erase_if(y.ticks, [&](double tick) { return tick < y.low; });
  }
  std::string out = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)", width,
                                height, escape(chart.title));
  draw_axes(out, chart, x, y);
  for (const Series& s : chart.series)
    if (s.band) draw_band(out, chart, s, x, y);
  for (const Series& s : chart.series)
    if (has_points(s, chart.x_scale)) draw_series(out, chart, s, x, y);
  out += point_labels(labels_of(chart, x, y), {left, right + 10, top - 8, bottom});
  return out + "</svg>";
}

std::string figure(const Chart& chart) {
  const std::string drawing = svg(chart);
  if (drawing.empty()) return "";
  std::string out = fmt::format(R"(<figure class="chart"><figcaption>{}<ul class="legend">)",
                                escape(chart.title));
  for (const Series& s : chart.series) {
    if (s.name.empty() || !has_points(s, chart.x_scale)) continue;
    out += R"(<li><svg viewBox="0 0 24 8" aria-hidden="true">)";
    if (s.line)
      fmt::format_to(std::back_inserter(out), R"(<path class="line s{}{}" d="M1 4L23 4"/>)",
                     s.colour, s.dashed ? " dash" : "");
    if (!s.line || s.mark == Mark::ring || s.mark == Mark::diamond)
      out += mark_at(s.mark, s.colour, 12, 4);
    fmt::format_to(std::back_inserter(out), "</svg>{}</li>", escape(s.name));
  }
  return out + "</ul></figcaption>" + drawing + "</figure>";
}

}  // namespace understudy::report
