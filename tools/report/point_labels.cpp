#include "tools/report/point_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "tools/report/markup.h"

namespace understudy::report {
namespace {

// Of the style sheet's class "point": the height of a line and the usual width of a letter.
constexpr double line_height = 11, letter_width = 5.3;
constexpr double mark_radius = 4;
constexpr double most_covered = 25;  // square units: about two letters' worth of corners

struct Box {
  double left = 0, right = 0, top = 0, bottom = 0;

  double area() const { return (right - left) * (bottom - top); }
};

double overlap(const Box& a, const Box& b) {
  const double across = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double down = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return across > 0 && down > 0 ? across * down : 0;
}

// A place for a label: how it is anchored, and its offset from the point. The best ones first.
struct Place {
  const char* anchor;
  double dx, dy;
};
constexpr Place places[] = {
    {"", 7, 3.6},    {"end", -7, 3.6},  {"middle", 0, -7}, {"middle", 0, 14},  {"", 6, -5},
    {"end", -6, -5}, {"", 6, 12},       {"end", -6, 12},   {"middle", 0, -18}, {"middle", 0, 25},
    {"", 10, -16},   {"end", -10, -16}, {"", 10, 23},      {"end", -10, 23}};

Box box_at(const PointLabel& label, const Place& place) {
  const double width = letter_width * static_cast<double>(display_width(label.text));
  const double baseline = label.y + place.dy;
  const std::string_view anchor = place.anchor;
  const double left = label.x + place.dx -
                      (anchor == "end"      ? width
                       : anchor == "middle" ? width / 2
                                            : 0);
  return {left, left + width, baseline - line_height + 2, baseline + 2};
}

}  // namespace

std::string point_labels(const std::vector<PointLabel>& labels, const Frame& frame) {
  std::vector<Box> taken;
  taken.reserve(2 * labels.size());
  for (const PointLabel& label : labels)
    taken.push_back({label.x - mark_radius, label.x + mark_radius, label.y - mark_radius,
                     label.y + mark_radius});
  const Box inside{frame.left, frame.right, frame.top, frame.bottom};
  std::string out;
  for (const PointLabel& label : labels) {
    if (label.text.empty()) continue;
    const Place* best = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const Place& place : places) {
      const Box box = box_at(label, place);
      double covered = 3 * (box.area() - overlap(box, inside));
      for (const Box& other : taken) covered += overlap(box, other);
      if (covered < least - 1e-9) least = covered, best = &place;
    }
    if (least > most_covered) continue;
    taken.push_back(box_at(label, *best));
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="point {}" x="{:.1f}" y="{:.1f}">{}</text>)", best->anchor,
                   label.x + best->dx, label.y + best->dy, escape(label.text));
  }
  return out;
}

}  // namespace understudy::report
