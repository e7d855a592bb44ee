// Where threads stand in strided arrays: the host's arithmetic, which needs no GPU.
#include "kernels/cuda/places.h"

#include <set>

#include "tests/kernels_arrays.h"

namespace understudy::testing {

TEST_SUITE("cuda") {
  TEST_CASE("cuda: a division by a constant is a division") {
    constexpr std::uint32_t most = (1u << 31) - 1;
    Draw draw(7);
    for (std::int64_t i = 0; i < 3000; ++i) {
      const std::uint32_t divisor =
          i < 1000   ? static_cast<std::uint32_t>(i + 1)
          : i < 1062 ? (1u << ((i - 1000) / 2)) - (i % 2 == 0 && i > 1001 ? 1 : 0)
                     : static_cast<std::uint32_t>(1 + draw.below(i % 2 == 0 ? most : 100000));
      const auto by = cuda::Divider::of(divisor);
      std::vector<std::uint32_t> numbers = {0, 1, divisor - 1, divisor, most, most - 1};
      if (divisor <= most / 3) numbers.insert(numbers.end(), {3 * divisor - 1, 3 * divisor});
      for (int k = 0; k < 20; ++k) numbers.push_back(static_cast<std::uint32_t>(draw.below(most)));
      for (const std::uint32_t number : numbers) {
        CAPTURE(number);
        CAPTURE(divisor);
        CHECK(by.quotient(number) == number / divisor);
      }
    }
  }

  TEST_CASE("cuda: pieces of a walk, and steps in them, meet every element once") {
    for (const Dims& shape : {Dims{}, Dims{0}, Dims{1}, Dims{103}, Dims{7, 12}, Dims{3, 5, 9},
                              Dims{2, 3, 2, 11}, Dims{40, 2}})
      for (const Layout layout : output_layouts)
        for (const std::int64_t most : {4, 8, 64, 1 << 30})
          for (const std::int64_t width : {1, 4}) {
            INFO(fmt::format("{} {}, pieces of {}, steps of {}", to_string(shape), name_of(layout),
                             most, width));
            const Dims out = strides_of(shape, Layout::dense), in = strides_of(shape, layout);
            std::set<std::pair<std::int64_t, std::int64_t>> met, wanted;
            std::int64_t elements = 0;
            for_each_index(shape, [&](const Dims& i) {
              wanted.insert({offset_of(i, out), offset_of(i, in)});
            });
            cuda::for_pieces(make_walk<2>(shape, {&out, &in}), most,
                             [&](const Walk<2>& walk, const std::int64_t(&start)[2]) {
                               CHECK(walk.count <= most);
                               const auto places = cuda::make_places(walk, width);
                               const auto& step = places.strides;
                               for (std::uint32_t s = 0; s < places.steps; ++s) {
                                 std::int64_t at[2] = {start[0], start[1]};
                                 const std::uint32_t n = places.find(s, at);
                                 for (std::uint32_t j = 0; j < n; ++j, ++elements)
                                   met.insert({at[0] + j * step[0][walk.rank - 1],
                                               at[1] + j * step[1][walk.rank - 1]});
                               }
                             });
            CHECK(elements == shape.count());
            CHECK(met == wanted);
          }
  }
}

}  // namespace understudy::testing
