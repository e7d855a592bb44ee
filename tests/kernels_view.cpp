#include "kernels/view.h"

#include <doctest/doctest.h>

#include "kernels/backend.h"
#include "kernels/check.h"

using namespace understudy;

TEST_SUITE("kernels") {
  TEST_CASE("Dims hold up to six numbers and count elements") {
    CHECK(Dims{}.rank() == 0);
    CHECK(Dims{}.count() == 1);
    CHECK(Dims{3, 4}.count() == 12);
    CHECK(Dims{3, 0, 4}.count() == 0);
    CHECK(Dims{2, 3} == Dims{2, 3});
    CHECK_FALSE(Dims{2, 3} == Dims{2, 3, 1});
    CHECK_FALSE(Dims{2, 3} == Dims{3, 2});
    CHECK(Dims::filled(3, 7) == Dims{7, 7, 7});
    Dims grown{1, 2};
    grown.push_back(3);
    CHECK(grown == Dims{1, 2, 3});
    CHECK(grown.back() == 3);
    grown.pop_back();
    CHECK(grown == Dims{1, 2});
    CHECK(to_string(Dims{}) == "()");
    CHECK(to_string(Dims{64, 784}) == "(64,784)");
    CHECK_THROWS_AS((Dims{1, 2, 3, 4, 5, 6, 7}), Error);
    CHECK_THROWS_AS(Dims::filled(7, 1), Error);
    Dims full{1, 2, 3, 4, 5, 6};
    CHECK_THROWS_AS(full.push_back(7), Error);
    CHECK(full == Dims{1, 2, 3, 4, 5, 6});
  }

  TEST_CASE("dense strides are known from others") {
    CHECK(contiguous_strides(Dims{2, 3, 4}) == Dims{12, 4, 1});
    CHECK(contiguous_strides(Dims{}) == Dims{});
    CHECK(is_contiguous(Dims{2, 3, 4}, Dims{12, 4, 1}));
    CHECK(is_contiguous(Dims{2, 1, 4}, Dims{4, 99, 1}));
    CHECK(is_contiguous(Dims{0, 3}, Dims{17, 5}));
    CHECK(is_contiguous(Dims{}, Dims{}));
    CHECK_FALSE(is_contiguous(Dims{3, 2}, Dims{1, 3}));
    CHECK_FALSE(is_contiguous(Dims{3, 2}, Dims{4, 2}));
    CHECK_FALSE(is_contiguous(Dims{3, 2}, Dims{0, 1}));
  }

  TEST_CASE("element types have sizes and names") {
    CHECK(size_of(DType::f32) == sizeof(float));
    CHECK(size_of(DType::f64) == sizeof(double));
    CHECK(size_of(DType::u8) == 1);
    CHECK(size_of(DType::i32) == 4);
    CHECK(size_of(DType::i64) == 8);
    CHECK(std::string(to_string(DType::f32)) == "float32");
    CHECK(std::string(to_string(DType::i64)) == "int64");
  }

  TEST_CASE("devices are read from text") {
    CHECK(parse_device("cpu") == Device{DeviceKind::cpu, 0});
    CHECK(parse_device("cuda") == Device{DeviceKind::cuda, 0});
    CHECK(parse_device("cuda:3") == Device{DeviceKind::cuda, 3});
    for (const char* text :
         {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cpu:0", "CPU", "cuda:99999999999"})
      CHECK_THROWS_AS(parse_device(text), UsageError);
    CHECK(to_string(Device{DeviceKind::cpu, 0}) == "cpu");
    CHECK(to_string(Device{DeviceKind::cuda, 2}) == "cuda:2");
  }

  TEST_CASE("check throws the formatted sentence") {
    CHECK_NOTHROW(check(true, "never {}", 1));
    CHECK_THROWS_WITH_AS(check(false, "wanted {}, found {}", 2, "three"), "wanted 2, found three",
                         Error);
    CHECK_THROWS_WITH_AS(fail("stop at {}", 7), "stop at 7", Error);
  }
}
