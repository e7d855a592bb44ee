// Axes and lines of the report's charts.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/check.h"
#include "tools/report/chart.h"

using namespace understudy;
using namespace understudy::report;

namespace {

std::string labels(const Axis& axis) {
  std::string all;
  for (const double tick : axis.ticks) all += (all.empty() ? "" : " ") + tick_label(axis, tick);
  return all;
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

Chart one_line(std::vector<double> x, std::vector<double> y) {
  Chart chart{.title = "t", .x_label = "epoch", .y_label = "loss"};
  chart.series.push_back({.name = "train", .x = std::move(x), .y = std::move(y)});
  return chart;
}

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("linear ticks are 1, 2 or 5 times a power of ten and cover the values") {
    CHECK(labels(linear_axis(0, 100)) == "0 20 40 60 80 100");
    CHECK(labels(linear_axis(0.031, 0.39)) == "0.0 0.1 0.2 0.3 0.4");
    CHECK(labels(linear_axis(88.3, 98.1)) == "88 90 92 94 96 98 100");
    CHECK(labels(linear_axis(-0.7, 0.4)) == "-0.8 -0.6 -0.4 -0.2 0.0 0.2 0.4");
    CHECK(labels(linear_axis(1e-5, 3e-5)) == "0.000010 0.000015 0.000020 0.000025 0.000030");
    CHECK(labels(linear_axis(12000, 61000)) == "10000 20000 30000 40000 50000 60000 70000");
  }

  TEST_CASE("linear axes cover their values, with neighbouring ticks told apart") {
    for (const double low : {-3.0, 0.0, 0.97, 1e-7, 123456.0})
      for (const double span : {1e-6, 0.003, 0.2, 7.0, 99999.0}) {
        const Axis axis = linear_axis(low, low + span);
        CAPTURE(low);
        CAPTURE(span);
        CHECK(axis.low <= low);
        CHECK(axis.high >= low + span * (1 - 1e-6));
        CHECK(axis.ticks.size() >= 3);
        CHECK(axis.ticks.size() <= 11);
        for (std::size_t i = 1; i < axis.ticks.size(); ++i) {
          CHECK(axis.ticks[i] > axis.ticks[i - 1]);
          CHECK(tick_label(axis, axis.ticks[i]) != tick_label(axis, axis.ticks[i - 1]));
        }
      }
  }

  TEST_CASE("equal and non-finite ends still give an axis") {
    for (const auto& axis : {linear_axis(5, 5), linear_axis(0, 0), linear_axis(no_value, 1),
                             linear_axis(98.03, 98.03)}) {
      CHECK(axis.low < axis.high);
      CHECK(axis.ticks.size() >= 3);
    }
    CHECK(linear_axis(5, 5).place(5) == doctest::Approx(0.5));
  }

  TEST_CASE("epochs have whole ticks") {
    CHECK(labels(count_axis(1, 8)) == "1 2 3 4 5 6 7 8");
    CHECK(labels(count_axis(1, 16)) == "2 4 6 8 10 12 14 16");
    CHECK(labels(count_axis(3, 3)) == "3");
    CHECK(labels(count_axis(1, 500)) == "50 100 150 200 250 300 350 400 450 500");
    CHECK(count_axis(9e15, 9e15).ticks.size() < 20);
    CHECK_THROWS_AS(count_axis(2, 1), Error);
  }

  TEST_CASE("logarithmic ticks") {
    CHECK(labels(log_axis(0.04, 30)) == "0.1 1 10");
    CHECK(labels(log_axis(0.5, 20)) == "0.5 1 2 5 10 20");
    CHECK(labels(log_axis(18, 450)) == "10 20 50 100 200 500");
    CHECK(labels(log_axis(3, 3)) == "2 5");
    CHECK(labels(log_axis(5, 5)) == "2 5 10");
    CHECK(log_axis(0.01, 100).place(1) == doctest::Approx(0.5));
    CHECK_THROWS_AS(log_axis(0, 1), Error);
    CHECK_THROWS_AS(log_axis(-1, 1), Error);
  }

  TEST_CASE("a curve runs from the plot's left edge to its right and up for larger values") {
    const std::string drawing = svg(one_line({1, 2, 3}, {0, 50, 100}));
    CHECK(drawing.find(R"(d="M50.0 254.0L259.0 142.0L468.0 30.0")") != drawing.npos);
    CHECK(occurrences(drawing, "<svg") == 1);
    CHECK(drawing.ends_with("</svg>"));
  }

  TEST_CASE(
      "a band goes along the upper ends and back along the lower ones, without gaps' points") {
    Chart chart = one_line({1, 2, 3, 4, 5}, {0, 50, 100, 50, 50});
    chart.series[0].error = {10, 10, no_value, 10, 10};
    chart.series[0].band = true;
    chart.y_most = 100;
    const std::string drawing = svg(chart);
    // The axis is from -20 to 100: 10 is at 198.
    CHECK(drawing.find(
              R"(<path class="band s0" d="M50.0 198.0L154.5 104.7L154.5 142.0L50.0 235.3z"/>)") !=
          drawing.npos);
    CHECK(occurrences(drawing, "class=\"band") == 2);
    CHECK(occurrences(drawing, "class=\"bar") == 0);
    chart.series[0].error = {10, no_value, 10, no_value, 10};
    CHECK(occurrences(svg(chart), "class=\"band") == 0);
  }

  TEST_CASE("values that are not finite leave a gap") {
    const std::string drawing = svg(
        one_line({1, 2, 3, 4, 5}, {0, 50, no_value, 100, std::numeric_limits<double>::infinity()}));
    CHECK(occurrences(drawing, "nan") == 0);
    CHECK(occurrences(drawing, "inf") == 0);
    const auto begin = drawing.find("d=\"M") + 3;
    const std::string path = drawing.substr(begin, drawing.find('"', begin) - begin);
    CHECK(occurrences(path, "M") == 2);
    CHECK(occurrences(path, "L") == 1);
  }

  TEST_CASE("one point is a dot, none is no drawing, unequal lengths are an error") {
    CHECK(occurrences(svg(one_line({4}, {1})), "<circle") == 1);
    CHECK(svg(one_line({}, {})).empty());
    CHECK(svg(one_line({1, 2}, {no_value, no_value})).empty());
    CHECK(figure(one_line({}, {})).empty());
    CHECK_THROWS_AS(svg(one_line({1, 2}, {1})), Error);
  }

  TEST_CASE("a wide range of losses is drawn on a log scale, and says so") {
    Chart chart = one_line({1, 2, 3}, {450, 30, 2});
    CHECK(svg(chart).find("logarithmic") == std::string::npos);
    chart.may_use_log = true;
    CHECK(svg(chart).find("logarithmic scale") != std::string::npos);
    chart.series[0].y[2] = 0;
    CHECK(svg(chart).find("logarithmic") == std::string::npos);
  }

  TEST_CASE("names are escaped, and the legend names every series that is drawn") {
    Chart chart = one_line({1, 2}, {1, 2});
    chart.series[0].name = "<b>&\"";
    chart.series.push_back({.name = "empty", .x = {1}, .y = {no_value}});
    chart.title = "a<b";
    const std::string drawing = figure(chart);
    CHECK(drawing.find("&lt;b&gt;&amp;&quot;") != drawing.npos);
    CHECK(drawing.find("<b>") == drawing.npos);
    CHECK(drawing.find("a&lt;b") != drawing.npos);
    CHECK(drawing.find("empty") == drawing.npos);
  }

  TEST_CASE("a logarithmic x axis leaves out what is not positive, and has plain labels") {
    Chart chart = one_line({0, 0.001, 1000}, {1, 2, 3});
    chart.x_scale = Scale::logarithmic;
    chart.series[0].mark = Mark::ring;
    const std::string drawing = svg(chart);
    CHECK(occurrences(drawing, "<circle") == 2);
    CHECK(drawing.find(R"(d="M50.0 254.0L468.0 30.0")") != drawing.npos);
    CHECK(drawing.find(">0.001</text>") != drawing.npos);
    CHECK(drawing.find(">1000</text>") != drawing.npos);
    CHECK(drawing.find("epoch, logarithmic scale") != drawing.npos);
    chart.series[0].x = {0, -1, 0};
    CHECK(svg(chart).empty());
  }

  TEST_CASE("points alone, with error bars that end where values must") {
    Chart chart = one_line({1, 2}, {90, 99});
    chart.series[0].line = false;
    chart.series[0].error = {no_value, 5};
    chart.y_most = 100;
    const std::string drawing = svg(chart);
    CHECK(occurrences(drawing, "<path class=\"line") == 0);
    CHECK(occurrences(drawing, "<circle") == 2);
    CHECK(occurrences(drawing, "<path class=\"bar") == 1);
    // From 94 up to 100, the top of the axis that begins at 90.
    CHECK(drawing.find(R"(d="M465.0 164.4h6m-3 0V30.0m-3 0h6")") != drawing.npos);
    chart.series[0].error = {1};
    CHECK_THROWS_AS(svg(chart), Error);
    Chart one = one_line({1}, {97});
    CHECK(svg(one).find(">105</text>") != std::string::npos);
    one.y_most = 100;
    CHECK(svg(one).find(">105</text>") == std::string::npos);
    Chart wide = one_line({1, 2}, {40, 60});
    wide.series[0].error = {150, 5};
    CHECK(svg(wide).find(">-100</text>") != std::string::npos);
    wide.y_least = 0, wide.y_most = 100;
    CHECK(svg(wide).find(">-100</text>") == std::string::npos);
    CHECK(svg(wide).find(">0</text>") != std::string::npos);
  }

  TEST_CASE("labels of points do not cover each other; one without a place is left out") {
    Chart chart = one_line({1, 1, 2}, {1, 1, 2});
    chart.series[0].labels = {"first", "second", "<b>"};
    const std::string drawing = svg(chart);
    CHECK(occurrences(drawing, "class=\"point") == 3);
    CHECK(drawing.find("&lt;b&gt;") != drawing.npos);
    const auto place_of = [&](const char* name) {
      const auto end = drawing.find(std::string(">") + name + "<");
      const auto begin = drawing.rfind("<text", end);
      return drawing.substr(begin, end - begin);
    };
    CHECK(place_of("first") != place_of("second"));
    Chart crowd = one_line({}, {});
    for (int i = 0; i < 200; ++i) {
      crowd.series[0].x.push_back(i % 20);
      crowd.series[0].y.push_back(i / 20);
      crowd.series[0].labels.push_back("a long name of a point");
    }
    CHECK(occurrences(svg(crowd), "class=\"point") < 100);
  }
}
