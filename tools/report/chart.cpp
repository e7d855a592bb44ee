#include "tools/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "kernels/check.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

// The drawing's frame, in SVG units: the plot lies between these edges.
constexpr double width = 480, height = 300, left = 50, right = 468, top = 30, bottom = 254;

// Values that span more than this factor are easier to read on a log scale.
constexpr double log_ratio = 15;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double value) { low = std::min(low, value), high = std::max(high, value); }
};

double across(const Axis& axis, double x) { return left + axis.place(x) * (right - left); }
double upward(const Axis& axis, double y) { return bottom - axis.place(y) * (bottom - top); }

bool finite_at(const Series& s, std::size_t i) {
  return std::isfinite(s.x[i]) && std::isfinite(s.y[i]);
}

bool has_points(const Series& s) {
  for (std::size_t i = 0; i < s.x.size(); ++i)
    if (finite_at(s, i)) return true;
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
  fmt::format_to(to, R"(<text class="label middle" x="{}" y="{}">{}</text>)", (left + right) / 2,
                 height - 8, escape(chart.x_label));
  fmt::format_to(to, R"(<text class="label" x="2" y="{}">{}{}</text>)", top - 16,
                 escape(chart.y_label), y.logarithmic ? ", logarithmic scale" : "");
}

void draw_series(std::string& out, const Series& s, const Axis& x, const Axis& y) {
  std::string path, dots;
  bool pen_down = false;
  std::size_t drawn = 0;
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    const bool here = finite_at(s, i);
    if (here) {
      const double px = across(x, s.x[i]), py = upward(y, s.y[i]);
      fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", pen_down ? "L" : "M", px, py);
      fmt::format_to(std::back_inserter(dots),
                     R"(<circle class="dot s{}" cx="{:.1f}" cy="{:.1f}" )"
                     R"(r="2.6"/>)",
                     s.colour, px, py);
      ++drawn;
    }
    pen_down = here;
  }
  fmt::format_to(std::back_inserter(out), R"(<path class="line s{}{}" d="{}"/>)", s.colour,
                 s.dashed ? " dash" : "", path);
  if (s.dots || drawn == 1) out += dots;  // a line of one point would be invisible
}

}  // namespace

std::string svg(const Chart& chart) {
  Range xs, ys;
  for (const Series& s : chart.series) {
    check(s.x.size() == s.y.size(), "[svg] series \"{}\": {} x and {} y values", s.name, s.x.size(),
          s.y.size());
    for (std::size_t i = 0; i < s.x.size(); ++i)
      if (finite_at(s, i)) xs.take(s.x[i]), ys.take(s.y[i]);
  }
  if (xs.low > xs.high) return "";
  const Axis x = chart.epochs_on_x ? count_axis(xs.low, xs.high) : linear_axis(xs.low, xs.high);
  const bool log = chart.may_use_log && ys.low > 0 && ys.high > log_ratio * ys.low;
  const Axis y = log ? log_axis(ys.low, ys.high) : linear_axis(ys.low, ys.high);
  std::string out = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)", width,
                                height, escape(chart.title));
  draw_axes(out, chart, x, y);
  for (const Series& s : chart.series)
    if (has_points(s)) draw_series(out, s, x, y);
  return out + "</svg>";
}

std::string figure(const Chart& chart) {
  const std::string drawing = svg(chart);
  if (drawing.empty()) return "";
  std::string out = fmt::format(R"(<figure class="chart"><figcaption>{}<ul class="legend">)",
                                escape(chart.title));
  for (const Series& s : chart.series)
    if (has_points(s))
      fmt::format_to(std::back_inserter(out),
                     R"(<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="line s{}{}" )"
                     R"(d="M1 4L23 4"/></svg>{}</li>)",
                     s.colour, s.dashed ? " dash" : "", escape(s.name));
  return out + "</ul></figcaption>" + drawing + "</figure>";
}

}  // namespace understudy::report
