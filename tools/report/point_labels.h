// Where the names of points go in a crowded chart.
#pragma once

#include <string>
#include <vector>

namespace understudy::report {

struct PointLabel {
  std::string text;
  double x = 0, y = 0;  // of the point, in SVG units
};

// The edges that labels stay within, in SVG units.
struct Frame {
  double left = 0, right = 0, top = 0, bottom = 0;
};

// <text> elements, each beside its point, where it covers least of the other labels, of `points` and
// of what lies outside `frame`. Labels that come first choose first; one that finds no free place is
// left out.
std::string point_labels(const std::vector<PointLabel>& labels, const Frame& frame);

}  // namespace understudy::report
