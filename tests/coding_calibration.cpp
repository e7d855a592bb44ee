// Confidence of reconstructed answers, counted by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "coding/calibration.h"
#include "kernels/check.h"

using namespace understudy;

TEST_SUITE("coding") {
  TEST_CASE("calibration sorts answers by confidence") {
    Calibration calibration;
    CHECK(std::isnan(calibration.expected_error()));
    CHECK(std::isnan(calibration.accuracy_without(0)));
    calibration.add(0.75, true);
    calibration.add(0.8125, false);
    calibration.add(0.9375, true);
    calibration.add(1.0, true);
    calibration.add(std::nan(""), false);
    const auto bins = calibration.bins(4);
    REQUIRE(bins.size() == 4);
    CHECK(bins[0].count == 1);  // the answer that could not be recovered
    CHECK(bins[0].confidence == 0);
    CHECK(bins[1].count == 0);
    CHECK(bins[3].count == 4);  // 0.75 and 1 are in the last
    CHECK(bins[3].confidence == 0.875);
    CHECK(bins[3].accuracy == 0.75);
    CHECK(calibration.expected_error(4) == doctest::Approx(4 * 0.125 / 5));
    CHECK_THROWS_AS(calibration.bins(0), Error);
  }

  TEST_CASE("declining the least confident answers leaves better ones") {
    Calibration calibration;
    calibration.add(0.5, false);
    calibration.add(0.5, true);
    calibration.add(0.9, true);
    calibration.add(0.1, false);
    CHECK(calibration.accuracy_without(0) == 0.5);
    CHECK(calibration.accuracy_without(0.25) == doctest::Approx(2.0 / 3));
    CHECK(calibration.accuracy_without(0.5) == 0.75);  // one of two equals, in proportion
    CHECK(calibration.accuracy_without(0.75) == 1);
    CHECK_THROWS_AS(calibration.accuracy_without(1), Error);
  }
}
