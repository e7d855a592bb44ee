#include "kernels/cpu/isa.h"

#include <doctest/doctest.h>

#include <string>

#include "kernels/check.h"
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::cpu;
using namespace understudy::testing;

TEST_SUITE("kernels") {
  TEST_CASE("the instruction set in use is one that this machine can run") {
    CHECK(is_available(InstructionSet::baseline));
    CHECK(is_available(instruction_set()));
    if (is_available(InstructionSet::avx512)) CHECK(is_available(InstructionSet::avx2));
    CHECK(std::string(to_string(InstructionSet::avx512)) == "avx512");
  }

  TEST_CASE("it can be changed to what is available, and to nothing else") {
    const InstructionSet before = instruction_set();
    for (const InstructionSet isa :
         {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512}) {
      if (is_available(isa)) {
        set_instruction_set(isa);
        CHECK(instruction_set() == isa);
      } else {
        CHECK_THROWS_AS(set_instruction_set(isa), UsageError);
      }
    }
    set_instruction_set(before);
  }

  TEST_CASE("pointwise results have the same bits on every instruction set") {
    const auto x = Array<float>::uniform(Dims{10007}, Layout::dense, 97, -20, 20);
    for (int op = 0; op < static_cast<int>(Unary::count); ++op) {
      CAPTURE(to_string(static_cast<Unary>(op)));
      Array<float> first(x.shape());
      bool has_first = false;
      under_all_settings([&] {
        Array<float> y(x.shape());
        cpu_backend().unary(static_cast<Unary>(op), y, x, 0.3);
        if (!has_first) first = y;
        has_first = true;
        CHECK(worst_mismatch(y, [&](const Dims& i) { return double{first.at(i)}; }) <= 0);
      });
    }
  }
}
