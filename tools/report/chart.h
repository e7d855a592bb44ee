// Line and scatter charts as inline SVG. Colours come from the page's style sheet (classes s0, s1,
// …), so that one drawing is readable in light, in dark and in print.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace understudy::report {

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks;  // ascending, all within [low, high]
  int decimals = 0;           // that tell neighbouring ticks apart

  // Where `value` lies, 0 at low and 1 at high.
  double place(double value) const;
};

// Ticks at 1, 2 or 5 times a power of ten, about `count` of them, and ends moved out to the next
// tick. Equal or non-finite ends give an axis around them all the same.
Axis linear_axis(double low, double high, int count = 5);
// Whole numbers only, the ends kept as they are: for epochs.
Axis count_axis(double low, double high, int count = 8);
// Ends moved out to 1, 2 or 5 times a power of ten; ticks at powers of ten, or at all of these when
// there are fewer than three. Needs 0 < low <= high.
Axis log_axis(double low, double high);
std::string tick_label(const Axis& axis, double tick);

enum class Scale { linear, whole_numbers, logarithmic };

// What stands at a point.
enum class Mark { none, dot, ring, diamond };

struct Series {
  std::string name;          // "": not in the legend
  std::vector<double> x, y;  // the same length; a y that is not finite leaves a gap
  int colour = 0;            // 0..5: the class s0..s5
  bool dashed = false;
  Mark mark = Mark::none;
  bool line = true;                      // false: the points alone
  std::vector<double> error = {};        // y ± error, a bar at each point where it is finite
  bool band = false;                     // the errors as a shaded band, not as bars
  std::vector<std::string> labels = {};  // beside each point
};

struct Chart {
  std::string title;    // also the accessible name
  std::string x_label;  // with the unit, e.g. "epoch"
  std::string y_label;
  std::vector<Series> series;
  Scale x_scale = Scale::whole_numbers;
  // What no value can pass, such as 0 and 100 %; bars end there.
  std::optional<double> y_least = {}, y_most = {};
  bool may_use_log = false;  // y on a log scale when its values span more than a factor of 15
};

// A complete <svg> element, 480 by 300 units; "" when there is nothing finite to draw. On a
// logarithmic x scale points at or below zero are left out.
std::string svg(const Chart& chart);
// The same in a <figure> with its title and legend.
std::string figure(const Chart& chart);

}  // namespace understudy::report
