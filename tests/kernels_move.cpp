// Memory, and the functions that move and convert data.
#include "kernels/check.h"
#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

const Dims shapes[] = {Dims{},        Dims{0},       Dims{1},          Dims{5},
                       Dims{3, 4},    Dims{2, 0, 3}, Dims{2, 3, 4, 5}, Dims{37, 53},
                       Dims{3, 1, 7}, Dims{300, 250}};

// What a conversion gives: truncated, and kept within the range of To.
template <class To, class From>
To expected(From x) {
  if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
    if (std::isnan(x)) return 0;
    const long double wide = x;
    if (wide >= static_cast<long double>(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
    if (wide <= static_cast<long double>(std::numeric_limits<To>::lowest()))
      return std::numeric_limits<To>::lowest();
  }
  return static_cast<To>(x);
}

template <class To, class From>
void check_copy(const Dims& shape, Layout out_layout, Layout in_layout) {
  INFO(fmt::format("{} {} {} <- {} {}", to_string(shape), to_string(dtype_of<To>),
                   name_of(out_layout), to_string(dtype_of<From>), name_of(in_layout)));
  const bool has_sign = std::numeric_limits<From>::lowest() < 0;
  const auto in = Array<From>::uniform(shape, in_layout, 90, has_sign ? -100 : 0, 100);
  Array<To> out(shape, out_layout);
  cpu_backend().copy(out, in);
  std::int64_t different = 0;
  for_each_index(shape, [&](const Dims& i) { different += out.at(i) != expected<To>(in.at(i)); });
  CHECK(different == 0);
  CHECK(out.guards_intact());
}

template <class From>
void check_copies_from(const Dims& shape, Layout out, Layout in) {
  check_copy<float, From>(shape, out, in);
  check_copy<double, From>(shape, out, in);
  check_copy<std::uint8_t, From>(shape, out, in);
  check_copy<std::int32_t, From>(shape, out, in);
  check_copy<std::int64_t, From>(shape, out, in);
}

Array<std::int64_t> indices(std::int64_t n, std::int64_t below) {
  Array<std::int64_t> index(Dims{n});
  Draw draw(91);
  for (std::int64_t i = 0; i < n; ++i) index[i] = draw.below(below);
  return index;
}

// Another mean and deviation for each channel.
struct Colours {
  std::vector<float> mean, std;
  explicit Colours(std::int64_t channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      mean.push_back(0.4f + 0.02f * static_cast<float>(c));
      std.push_back(0.2f + 0.03f * static_cast<float>(c));
    }
  }
  double normalized(double byte, std::int64_t channel) const {
    const auto c = static_cast<std::size_t>(channel);
    return (byte / 255 - double{mean[c]}) / double{std[c]};
  }
};

template <class T>
void check_gather(std::int64_t picked, std::int64_t rows, const Dims& tail) {
  Dims in_shape{rows}, out_shape{picked};
  for (const std::int64_t size : tail) {
    in_shape.push_back(size);
    out_shape.push_back(size);
  }
  const auto in = Array<T>::uniform(in_shape, Layout::dense, 92, 0, 100);
  const auto index = indices(picked, rows);
  Array<T> out(out_shape);
  cpu_backend().gather_rows(out, in, index);
  const std::int64_t columns = tail.count();
  std::int64_t different = 0;
  for (std::int64_t i = 0; i < picked; ++i)
    for (std::int64_t c = 0; c < columns; ++c)
      different += out[i * columns + c] != in[index[i] * columns + c];
  CHECK(different == 0);
  CHECK(out.guards_intact());
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("memory is aligned, and too much of it is an error") {
    Backend& b = cpu_backend();
    for (const std::size_t bytes :
         {0ul, 1ul, 64ul, 100ul, 4097ul, 2097151ul, 2097152ul, 5000000ul}) {
      void* const memory = b.allocate(bytes);
      CHECK(memory != nullptr);
      const auto address = reinterpret_cast<std::uintptr_t>(memory);
      CHECK(address % 64 == 0);
      if (bytes >= 2097152) CHECK(address % 2097152 == 0);
      std::vector<unsigned char> host(bytes, 0x5A), back(bytes, 0);
      b.from_host(memory, host.data(), bytes);
      b.to_host(back.data(), memory, bytes);
      CHECK(back == host);
      b.release(memory, bytes);
    }
    CHECK_THROWS_AS(b.allocate(static_cast<std::size_t>(-1)), Error);
    CHECK_THROWS_AS(b.allocate(std::size_t{1} << 60), Error);
    b.synchronize();
  }

  TEST_CASE_TEMPLATE("fill sets every element and no other", T, float, double, std::uint8_t,
                     std::int32_t, std::int64_t) {
    under_all_settings([] {
      for (const Dims& shape : shapes)
        for (const Layout layout : output_layouts) {
          INFO(fmt::format("{} {}", to_string(shape), name_of(layout)));
          Array<T> out(shape, layout);
          cpu_backend().fill(out, 7);
          CHECK(worst_mismatch(out, [](const Dims&) { return 7.0; }) <= 0);
          CHECK(out.guards_intact());
        }
    });
  }

  TEST_CASE_TEMPLATE("copies between all types, all shapes and strides", T, float, double,
                     std::uint8_t, std::int32_t, std::int64_t) {
    under_all_settings([] {
      for (const Dims& shape : shapes) {
        if (shape.count() > 10000) {
          check_copies_from<T>(shape, Layout::dense, Layout::dense);
          check_copies_from<T>(shape, Layout::dense, Layout::transposed);
          check_copies_from<T>(shape, Layout::transposed, Layout::dense);
          continue;
        }
        for (const Layout out : output_layouts)
          for (const Layout in : input_layouts) check_copies_from<T>(shape, out, in);
      }
    });
  }

  TEST_CASE("a copy permutes axes") {
    under_all_settings([] {
      const auto in = Array<float>::uniform(Dims{4, 33, 35, 3}, Layout::dense, 93, -1, 1);
      const ConstView view = in;
      // (N, H, W, C) read as (N, C, H, W).
      const ConstView moved(
          view.data, DType::f32, Dims{4, 3, 33, 35},
          Dims{view.strides[0], view.strides[3], view.strides[1], view.strides[2]});
      Array<float> out(moved.shape);
      cpu_backend().copy(out, moved);
      CHECK(worst_mismatch(out, [&](const Dims& i) {
              return double{in.at(Dims{i[0], i[2], i[3], i[1]})};
            }) <= 0);
      CHECK(out.guards_intact());
    });
  }

  TEST_CASE("numbers that do not fit become the nearest that does") {
    under_all_settings([] {
      const double values[] = {
          NAN,           INFINITY, -INFINITY, 1e30,         -1e30,
          256,           255.9,    -0.9,      -1.5,         2147483648.0,
          -2147483649.0, 9.3e18,   -9.3e18,   2147483647.0, 9223372036854774784.0};
      const std::int64_t n = std::size(values);
      Array<double> in(Dims{n});
      Array<float> in32(Dims{n});
      for (std::int64_t i = 0; i < n; ++i) in32[i] = static_cast<float>(in[i] = values[i]);
      Array<std::uint8_t> u8(Dims{n});
      Array<std::int32_t> i32(Dims{n});
      Array<std::int64_t> i64(Dims{n});
      const auto check_all = [&](const auto& from) {
        cpu_backend().copy(u8, from);
        cpu_backend().copy(i32, from);
        cpu_backend().copy(i64, from);
        for (std::int64_t i = 0; i < n; ++i) {
          CAPTURE(from[i]);
          CHECK(u8[i] == expected<std::uint8_t>(from[i]));
          CHECK(i32[i] == expected<std::int32_t>(from[i]));
          CHECK(i64[i] == expected<std::int64_t>(from[i]));
        }
      };
      check_all(in);
      check_all(in32);
    });
  }

  TEST_CASE("rows are gathered by index") {
    under_all_settings([] {
      for (const std::int64_t picked : {0, 1, 5, 700})
        for (const Dims& tail : {Dims{}, Dims{1}, Dims{10}, Dims{7, 9}, Dims{0}, Dims{784}}) {
          INFO(fmt::format("{} rows of {}", picked, to_string(tail)));
          check_gather<float>(picked, 20, tail);
          check_gather<std::uint8_t>(picked, 20, tail);
          check_gather<std::int64_t>(picked, 20, tail);
        }
    });
  }

  TEST_CASE_TEMPLATE("rows are added back, repeated ones in order", T, float, double) {
    under_all_settings([] {
      for (const std::int64_t count : {0, 1, 50, 700})
        for (const std::int64_t columns : {1, 10, 300}) {
          INFO(fmt::format("{} rows of {}", count, columns));
          const auto rows = Array<T>::uniform(Dims{count, columns}, Layout::dense, 94, -1, 1);
          const auto index = indices(count, 6);
          Array<T> out = Array<T>::uniform(Dims{6, columns}, Layout::dense, 95, -1, 1);
          std::vector<T> want;
          for (std::int64_t i = 0; i < 6 * columns; ++i) want.push_back(out[i]);
          cpu_backend().scatter_add_rows(out, rows, index);
          for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t c = 0; c < columns; ++c)
              want[static_cast<std::size_t>(index[i] * columns + c)] += rows[i * columns + c];
          std::int64_t different = 0;
          for (std::int64_t i = 0; i < 6 * columns; ++i)
            different += out[i] != want[static_cast<std::size_t>(i)];
          CHECK(different == 0);
          CHECK(out.guards_intact());
        }
    });
  }

  TEST_CASE_TEMPLATE("images are gathered and normalised by channel", T, float, double) {
    under_all_settings([] {
      for (const std::int64_t C : {1, 2, 3, 4, 5, 16})
        for (const Dims& size : {Dims{0, 3}, Dims{1, 1}, Dims{3, 3}, Dims{4, 16}, Dims{28, 28}})
          for (const std::int64_t count : {0, 1, 65}) {
            const Dims images{11, size[0], size[1], C};
            INFO(fmt::format("{} images of {}", count, to_string(images)));
            const auto in = Array<std::uint8_t>::uniform(images, Layout::dense, 96, 0, 256);
            const auto index = indices(count, 11);
            const Colours colours(C);
            Array<T> out(Dims{count, size[0], size[1], C});
            cpu_backend().gather_images(out, in, index, nullptr, colours.mean, colours.std);
            CHECK(worst_mismatch(out, [&](const Dims& i) {
                    return colours.normalized(in.at(Dims{index[i[0]], i[1], i[2], i[3]}), i[3]);
                  }) <= 4 * rounding<T>);
            CHECK(out.guards_intact());
          }
    });
  }

  // 60x100 and 70x90 pixels are more than the kernel looks at in one piece.
  TEST_CASE_TEMPLATE("images are placed: moved, black outside, mirrored", T, float, double) {
    under_all_settings([] {
      for (const Dims& images : {Dims{7, 5, 4, 1}, Dims{7, 3, 7, 3}, Dims{7, 1, 1, 2},
                                 Dims{7, 32, 32, 3}, Dims{3, 60, 100, 3}, Dims{2, 70, 90, 5}}) {
        INFO(fmt::format("images {}", to_string(images)));
        const std::int64_t count = 29, H = images[1], W = images[2];
        const auto in = Array<std::uint8_t>::uniform(images, Layout::dense, 97, 0, 256);
        const auto index = indices(count, images[0]);
        Array<std::int32_t> placement(Dims{count, 3});
        Draw draw(98);
        for (std::int64_t i = 0; i < count; ++i) {
          placement.at(Dims{i, 0}) = static_cast<std::int32_t>(draw.below(2 * H + 3) - H - 1);
          placement.at(Dims{i, 1}) = static_cast<std::int32_t>(draw.below(2 * W + 3) - W - 1);
          placement.at(Dims{i, 2}) = static_cast<std::int32_t>(draw.below(2));
        }
        // As it is, just mirrored, and as far away as numbers go.
        for (std::int64_t a = 0; a < 3; ++a) {
          placement.at(Dims{0, a}) = 0;
          placement.at(Dims{1, a}) = a == 2;
          placement.at(Dims{2, a}) = std::numeric_limits<std::int32_t>::max();
          placement.at(Dims{3, a}) = std::numeric_limits<std::int32_t>::lowest();
        }
        const Colours colours(images[3]);
        Array<T> out(Dims{count, H, W, images[3]});
        const ConstView places = placement;
        cpu_backend().gather_images(out, in, index, &places, colours.mean, colours.std);
        CHECK(worst_mismatch(out, [&](const Dims& i) {
                const std::int64_t y = i[1] + placement.at(Dims{i[0], 0});
                const bool flip = placement.at(Dims{i[0], 2}) != 0;
                const std::int64_t x = (flip ? W - 1 - i[2] : i[2]) + placement.at(Dims{i[0], 1});
                const bool inside = y >= 0 && y < H && x >= 0 && x < W;
                const double byte = inside ? in.at(Dims{index[i[0]], y, x, i[3]}) : 0;
                return colours.normalized(byte, i[3]);
              }) <= 4 * rounding<T>);
        CHECK(out.guards_intact());
      }
    });
  }
}
