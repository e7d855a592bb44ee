// Rows and images by index on a GPU against the CPU's.
#include "tests/cuda_arrays.h"

#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated.h"
#endif

namespace understudy::testing {
namespace {

// Indices in no order, many of them twice.
OnGpu<std::int64_t> indices(std::int64_t n, std::int64_t below) {
  Array<std::int64_t> index(Dims{n});
  Draw draw(91);
  for (std::int64_t i = 0; i < n; ++i) index[i] = draw.below(below);
  return OnGpu<std::int64_t>(std::move(index));
}

template <class T>
void check_gather_rows(std::int64_t picked, std::int64_t columns) {
  INFO(fmt::format("{} rows of {} {}", picked, columns, to_string(dtype_of<T>)));
  const auto in = OnGpu<T>::uniform(Dims{20, columns}, Layout::dense, 92, 0, 200);
  const auto index = indices(picked, 20);
  Array<T> want(Dims{picked, columns});
  OnGpu<T> out(want);
  cpu_backend().gather_rows(want, in.before(), index.before());
  gpu_backend().gather_rows(out, in, index);
  CHECK(same_bits(out.now(), want));
}

template <class T>
void check_scatter(std::int64_t count, std::int64_t places, std::int64_t columns) {
  INFO(fmt::format("{} rows of {} to {}", count, columns, places));
  const auto rows = OnGpu<T>::uniform(Dims{count, columns}, Layout::dense, 96, -1, 1);
  const auto index = indices(count, places);
  auto want = Array<T>::uniform(Dims{places, columns}, Layout::dense, 97, -1, 1);
  OnGpu<T> out(want);
  cpu_backend().scatter_add_rows(want, rows.before(), index.before());
  gpu_backend().scatter_add_rows(out, rows, index);
  CHECK(same_bits(out.now(), want));
}

struct ImageCase {
  std::int64_t images, H, W, C;
  std::int64_t skip = 0;  // elements of out before the first
};

template <class T>
void check_images(const ImageCase& c, bool placed) {
  INFO(
      fmt::format("{} of ({},{},{}), placed {}, from {}", c.images, c.H, c.W, c.C, placed, c.skip));
  const auto in = OnGpu<std::uint8_t>::uniform({6, c.H, c.W, c.C}, Layout::dense, 98, 0, 256);
  const auto index = indices(c.images, 6);
  std::vector<float> mean, std;
  for (int channel = 0; channel < c.C; ++channel) {
    mean.push_back(0.4f + 0.02f * static_cast<float>(channel));
    std.push_back(0.2f + 0.03f * static_cast<float>(channel));
  }
  // Within the image, across its edges, and beyond them.
  Array<std::int32_t> placement(Dims{c.images, 3});
  Draw draw(99);
  for (std::int64_t i = 0; i < c.images; ++i) {
    const std::int64_t reach = i % 4 == 3 ? 2 * c.W : 3;
    placement[3 * i] = static_cast<std::int32_t>(draw.below(2 * reach + 1) - reach);
    placement[3 * i + 1] = static_cast<std::int32_t>(draw.below(2 * reach + 1) - reach);
    placement[3 * i + 2] = static_cast<std::int32_t>(i % 2);
  }
  const OnGpu<std::int32_t> placement_there(placement);
  const ConstView here = placement, there = placement_there;
  Array<T> want(Dims{c.images * c.H * c.W * c.C + c.skip});
  OnGpu<T> out(want);
  const auto images = [&](const View& all) {
    const Dims shape{c.images, c.H, c.W, c.C};
    return View{all.as<T>() + c.skip, all.dtype, shape, contiguous_strides(shape)};
  };
  cpu_backend().gather_images(images(want), in.before(), index.before(), placed ? &here : nullptr,
                              mean, std);
  gpu_backend().gather_images(images(out), in, index, placed ? &there : nullptr, mean, std);
  CHECK(same_bits(out.now(), want));
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE("cuda: rows are gathered by index, whatever their bytes") {
    if (skipped()) return;
    for (const std::int64_t picked : {0, 1, 5, 300})
      for (const std::int64_t columns : {0, 1, 2, 3, 4, 6, 8, 16, 33}) {
        check_gather_rows<float>(picked, columns);
        check_gather_rows<std::uint8_t>(picked, columns);
        check_gather_rows<std::int64_t>(picked, columns);
      }
  }

  TEST_CASE_TEMPLATE("cuda: rows are added back in their order", T, float, double) {
    if (skipped()) return;
    for (const std::int64_t columns : {0, 1, 5, 64, 1030})
      for (const std::int64_t count : {0, 1, 7, 40}) check_scatter<T>(count, 5, columns);
    check_scatter<T>(600, 1, 3);  // lists of several hundred
    check_scatter<T>(600, 9, 3);
    check_scatter<T>(256, 400, 2);
    check_scatter<T>(257, 100, 1);
  }

  TEST_CASE_TEMPLATE("cuda: images of bytes become numbers as on the CPU", T, float, double) {
    if (skipped()) return;
    for (const bool placed : {false, true}) {
      check_images<T>({.images = 0, .H = 4, .W = 4, .C = 3}, placed);
      check_images<T>({.images = 9, .H = 8, .W = 8, .C = 3}, placed);
      check_images<T>({.images = 9, .H = 7, .W = 5, .C = 3}, placed);
      check_images<T>({.images = 5, .H = 28, .W = 28, .C = 1}, placed);
      check_images<T>({.images = 4, .H = 5, .W = 6, .C = 4}, placed);
      check_images<T>({.images = 4, .H = 3, .W = 1, .C = 5}, placed);
      check_images<T>({.images = 3, .H = 3, .W = 2, .C = 64}, placed);
      check_images<T>({.images = 5, .H = 8, .W = 8, .C = 3, .skip = 1}, placed);
    }
  }

#ifdef UNDERSTUDY_EMULATED_CUDA
  TEST_CASE("cuda: adding rows back does not depend on the order of threads") {
    emulated::set_reversed(true);
    check_scatter<float>(600, 9, 3);
    check_scatter<float>(40, 5, 1030);
    emulated::set_reversed(false);
  }
#endif
}

}  // namespace understudy::testing
