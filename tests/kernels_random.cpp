// Random numbers: the generator against the published vectors of Random123, and the draws of the
// backend against a plain transcription of backend.h.
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

// Our counter is words 0 and 1, our stream words 2 and 3 of Random123's counter.
PhiloxBlock philox_words(const std::uint32_t (&counter)[4], const std::uint32_t (&key)[2]) {
  const auto joined = [](std::uint32_t low, std::uint32_t high) {
    return std::uint64_t{high} << 32 | low;
  };
  return philox({joined(key[0], key[1]), joined(counter[2], counter[3])},
                joined(counter[0], counter[1]));
}

void check_words(const PhiloxBlock& block, const std::uint32_t (&want)[4]) {
  for (int i = 0; i < 4; ++i) CHECK(block.word[i] == want[i]);
}

double expected_uniform(DType dtype, PhiloxKey key, std::uint64_t first, std::int64_t i) {
  if (dtype == DType::f32) {
    const auto block = philox(key, first + static_cast<std::uint64_t>(i) / 4);
    return (block.word[i % 4] >> 8) / 16777216.0;
  }
  const auto block = philox(key, first + static_cast<std::uint64_t>(i) / 2);
  const std::uint64_t bits = std::uint64_t{block.word[i % 2 * 2]} << 32 | block.word[i % 2 * 2 + 1];
  return static_cast<double>(bits >> 11) / 9007199254740992.0;
}

double expected_normal(DType dtype, PhiloxKey key, std::uint64_t first, std::int64_t i) {
  double u, v;
  if (dtype == DType::f32) {
    const auto block = philox(key, first + static_cast<std::uint64_t>(i) / 4);
    const std::int64_t pair = i % 4 / 2 * 2;
    u = (block.word[pair] + 1.0) / 4294967296.0;
    v = block.word[pair + 1] / 4294967296.0;
  } else {
    const auto block = philox(key, first + static_cast<std::uint64_t>(i) / 2);
    u = 1 - unit_double(block.word[0], block.word[1]);
    v = unit_double(block.word[2], block.word[3]);
  }
  const double pi = 3.14159265358979323846;
  const double radius = std::sqrt(-2 * std::log(u));
  return radius * (i % 2 == 0 ? std::cos(2 * pi * v) : std::sin(2 * pi * v));
}

const PhiloxKey key{0x1234567890ABCDEFu, 0xFEDCBA0987654321u};

template <class T>
Array<T> drawn_uniform(std::int64_t n, std::uint64_t first, double low, double high) {
  Array<T> out(Dims{n});
  cpu_backend().uniform(out, key, first, low, high);
  return out;
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("Philox gives the known answers of Random123") {
    check_words(philox_words({0, 0, 0, 0}, {0, 0}),
                {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
    check_words(philox_words({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu},
                             {0xffffffffu, 0xffffffffu}),
                {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
    check_words(philox_words({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                             {0xa4093822u, 0x299f31d0u}),
                {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
  }

  TEST_CASE("words become numbers from 0 to below 1") {
    CHECK(unit_float(0) == 0.0f);
    CHECK(unit_float(0xFFFFFFFFu) == 1.0f - 1.0f / 16777216.0f);
    CHECK(unit_double(0, 0) == 0.0);
    CHECK(unit_double(0xFFFFFFFFu, 0xFFFFFFFFu) == 1.0 - 1.0 / 9007199254740992.0);
    CHECK(unit_double(0x80000000u, 0) == 0.5);
  }

  TEST_CASE_TEMPLATE("uniform draws are the documented words, on every instruction set", T, float,
                     double) {
    under_all_settings([] {
      for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 63, 130, 40001}) {
        for (const std::uint64_t first :
             {std::uint64_t{0}, std::uint64_t{0xFFFFFFFF}, std::uint64_t{0xFFFFFFFFFFFFFFFF}}) {
          CAPTURE(n);
          CAPTURE(first);
          const Array<T> unit = drawn_uniform<T>(n, first, 0, 1);
          const Array<T> wide = drawn_uniform<T>(n, first, -2.5, 7.25);
          std::int64_t different = 0;
          for (std::int64_t i = 0; i < n; ++i) {
            const double u = expected_uniform(dtype_of<T>, key, first, i);
            different += unit[i] != static_cast<T>(u);
            different += wide[i] != static_cast<T>(-2.5 + 9.75 * u);
          }
          CHECK(different == 0);
          CHECK(unit.guards_intact());
        }
      }
    });
  }

  TEST_CASE_TEMPLATE("normal draws are Box-Muller of the documented words", T, float, double) {
    under_all_settings([] {
      for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 63, 3001}) {
        CAPTURE(n);
        Array<T> out(Dims{n});
        cpu_backend().normal(out, key, 77, 1.5, 0.25);
        const double worst = worst_mismatch(out, [&](const Dims& i) {
          return 1.5 + 0.25 * expected_normal(dtype_of<T>, key, 77, i[0]);
        });
        CHECK(worst <= 2 * rounding<T>);
        CHECK(out.guards_intact());
      }
    });
  }

  TEST_CASE("moments and range of the draws") {
    constexpr std::int64_t n = 200000;
    const Array<float> u = drawn_uniform<float>(n, 0, -1, 3);
    Array<float> z(Dims{n});
    cpu_backend().normal(z, {5, 6}, 0, 0, 1);
    double u_sum = 0, u_square = 0, z_sum = 0, z_square = 0, low = 9, high = -9;
    for (std::int64_t i = 0; i < n; ++i) {
      u_sum += u[i];
      u_square += (u[i] - 1.0) * (u[i] - 1.0);
      z_sum += z[i];
      z_square += static_cast<double>(z[i]) * z[i];
      low = std::min<double>(low, u[i]);
      high = std::max<double>(high, u[i]);
    }
    // Five standard errors.
    CHECK(std::abs(u_sum / n - 1) <= 5 * std::sqrt(16.0 / 12 / n));
    CHECK(std::abs(u_square / n - 16.0 / 12) <= 0.02);
    CHECK(std::abs(z_sum / n) <= 5 / std::sqrt(double{n}));
    CHECK(std::abs(z_square / n - 1) <= 5 * std::sqrt(2.0 / n));
    CHECK(low >= -1);
    CHECK(high <= 3);
  }
}
