// Means over seeds and their intervals, against figures from tables and by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/check.h"
#include "tools/report/estimate.h"

using namespace understudy;
using namespace understudy::report;

TEST_SUITE("report") {
  TEST_CASE("Student's t agrees with the printed tables") {
    const std::pair<int, double> table[] = {{1, 12.7062}, {2, 4.3027},  {3, 3.1824},
                                            {4, 2.7764},  {5, 2.5706},  {6, 2.4469},
                                            {10, 2.2281}, {30, 2.0423}, {1000, 1.9623}};
    for (const auto& [degrees, t] : table) {
      CAPTURE(degrees);
      CHECK(std::abs(student_t_95(degrees) - t) <= 6e-5);
    }
    CHECK_THROWS_AS(student_t_95(0), Error);
  }

  TEST_CASE("the interval of three seeds") {
    const std::vector<double> values = {0.97, 0.99, 0.98};
    const Estimate found = estimate(values);
    CHECK(std::abs(found.mean - 0.98) <= 1e-12);
    REQUIRE(found.half_width.has_value());
    // s = 0.01, so 4.30265 · 0.01 / √3
    CHECK(std::abs(*found.half_width - 0.0248414) <= 1e-6);
    CHECK(found.count == 3);
    CHECK(percent_cell(found) == "98.00 ± 2.48");
  }

  TEST_CASE("one seed has no interval, equal seeds a width of zero, none is an error") {
    const Estimate one = estimate(std::vector<double>{0.5});
    CHECK_FALSE(one.half_width.has_value());
    CHECK(percent_cell(one) == "50.00");
    CHECK(percent_cell(estimate(std::vector<double>{0.5, 0.5})) == "50.00 ± 0.00");
    CHECK(percent_cell({}) == "");
    CHECK_THROWS_AS(estimate(std::vector<double>{}), Error);
  }
}
