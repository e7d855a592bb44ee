// Fills, copies and conversions on a GPU against the CPU's.
#include "tests/cuda_arrays.h"

#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated.h"
#endif

namespace understudy::testing {
namespace {

template <class To, class From>
void check_copy(const Dims& shape, Layout out_layout, Layout in_layout) {
  INFO(fmt::format("{} {} {} <- {} {}", to_string(shape), to_string(dtype_of<To>),
                   name_of(out_layout), to_string(dtype_of<From>), name_of(in_layout)));
  const bool has_sign = std::numeric_limits<From>::lowest() < 0;
  const auto in = OnGpu<From>::uniform(shape, in_layout, 90, has_sign ? -100 : 0, 300);
  Array<To> want(shape, out_layout);
  OnGpu<To> out(want);
  cpu_backend().copy(want, in.before());
  gpu_backend().copy(out, in);
  CHECK(same_bits(out.now(), want));
}

template <class From>
void check_copies_from(const Dims& shape, Layout out, Layout in) {
  check_copy<float, From>(shape, out, in);
  check_copy<double, From>(shape, out, in);
  check_copy<std::uint8_t, From>(shape, out, in);
  check_copy<std::int32_t, From>(shape, out, in);
  check_copy<std::int64_t, From>(shape, out, in);
}

// A view whose axis `axis` runs the other way.
template <class V>
V flipped(V view, int axis) {
  const std::int64_t last = (view.shape[axis] - 1) * view.strides[axis];
  if constexpr (std::is_same_v<V, View>)
    view.data = view.template as<char>() + last * static_cast<std::int64_t>(size_of(view.dtype));
  else
    view.data = view.template as<char>() + last * static_cast<std::int64_t>(size_of(view.dtype));
  view.strides[axis] = -view.strides[axis];
  return view;
}

// out = in with its axes in another order, on both sides.
template <class T>
void check_permuted(const Dims& shape, const std::vector<int>& axes, std::int64_t gap) {
  INFO(fmt::format("{}, gap {}", to_string(shape), gap));
  Dims wide = shape;
  wide[shape.rank() - 1] += gap;
  const auto in = OnGpu<T>::uniform(wide, Layout::dense, 94, 0, 200);
  const auto permuted = [&](ConstView view) {
    ConstView moved(view.data, view.dtype, {}, {});
    for (const int axis : axes) {
      moved.shape.push_back(shape[axis]);
      moved.strides.push_back(view.strides[axis]);
    }
    return moved;
  };
  Array<T> want(permuted(in).shape);
  OnGpu<T> out(want);
  cpu_backend().copy(want, permuted(in.before()));
  gpu_backend().copy(out, permuted(in));
  CHECK(same_bits(out.now(), want));
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: fill sets every element and no other", T, float, double, std::uint8_t,
                     std::int32_t, std::int64_t) {
    if (skipped()) return;
    for (const Dims& shape : {Dims{}, Dims{0}, Dims{1}, Dims{5}, Dims{3, 4}, Dims{37, 53},
                              Dims{2, 3, 4, 5}, Dims{4096}})
      for (const Layout layout : output_layouts) {
        INFO(fmt::format("{} {}", to_string(shape), name_of(layout)));
        Array<T> want(shape, layout);
        OnGpu<T> out(want);
        cpu_backend().fill(want, 7);
        gpu_backend().fill(out, 7);
        CHECK(same_bits(out.now(), want));
      }
  }

  TEST_CASE_TEMPLATE("cuda: copies between all types and strides are the CPU's", T, float, double,
                     std::uint8_t, std::int32_t, std::int64_t) {
    if (skipped()) return;
    for (const Dims& shape : {Dims{}, Dims{0}, Dims{5}, Dims{6, 8}, Dims{3, 7}, Dims{2, 3, 4, 5}})
      for (const Layout out : output_layouts)
        for (const Layout in : input_layouts) check_copies_from<T>(shape, out, in);
    check_copies_from<T>(Dims{1025}, Layout::dense, Layout::dense);
    check_copies_from<T>(Dims{40, 70}, Layout::dense, Layout::transposed);
    check_copies_from<T>(Dims{40, 70}, Layout::transposed, Layout::dense);
  }

  TEST_CASE("cuda: numbers that do not fit become the nearest that does") {
    if (skipped()) return;
    const std::vector<double> values = {
        NAN,           INFINITY, -INFINITY, 1e30,         -1e30,
        256,           255.9,    -0.9,      -1.5,         2147483648.0,
        -2147483649.0, 9.3e18,   -9.3e18,   2147483647.0, 9223372036854774784.0};
    const auto check_from = [&]<class From>(From) {
      Array<From> in(Dims{static_cast<std::int64_t>(values.size())});
      for (std::size_t i = 0; i < values.size(); ++i)
        in[static_cast<std::int64_t>(i)] = static_cast<From>(values[i]);
      const OnGpu<From> there(in);
      const auto check_to = [&]<class To>(To) {
        Array<To> want(in.shape());
        OnGpu<To> out(want);
        cpu_backend().copy(want, in);
        gpu_backend().copy(out, there);
        CHECK(same_bits(out.now(), want));
      };
      check_to(std::uint8_t{});
      check_to(std::int32_t{});
      check_to(std::int64_t{});
    };
    check_from(float{});
    check_from(double{});
  }

  TEST_CASE_TEMPLATE("cuda: copies keep the bits of every NaN", T, float, double) {
    if (skipped()) return;
    Array<T> in(Dims{64});
    std::memset(&in[3], 0x7F, 40 * sizeof(T));
    std::memset(&in[50], 0xFE, 7 * sizeof(T));
    const OnGpu<T> there(in);
    OnGpu<T> out(Dims{64});
    gpu_backend().copy(out, there);
    CHECK(same_bits(out.now(), in));
  }

  TEST_CASE_TEMPLATE("cuda: copies of mirrored arrays, and into them", T, float, std::uint8_t,
                     double) {
    if (skipped()) return;
    for (const Dims& shape : {Dims{1, 1}, Dims{5, 8}, Dims{40, 33}, Dims{3, 16}})
      for (const int axis : {0, 1}) {
        INFO(fmt::format("{}, axis {}", to_string(shape), axis));
        const auto in = OnGpu<T>::uniform(shape, Layout::dense, 95, 0, 200);
        Array<T> want(shape), want_into(shape);
        OnGpu<T> out(want), into(want_into);
        cpu_backend().copy(want, flipped(ConstView(in.before()), axis));
        gpu_backend().copy(out, flipped(ConstView(in), axis));
        CHECK(same_bits(out.now(), want));
        cpu_backend().copy(flipped(View(want_into), axis), in.before());
        gpu_backend().copy(flipped(View(into), axis), in);
        CHECK(same_bits(into.now(), want_into));
        CHECK(same_bits(want, want_into));
      }
  }

  TEST_CASE_TEMPLATE("cuda: copies with other orders of axes", T, float, std::uint8_t, double) {
    if (skipped()) return;
    for (const std::int64_t gap : {0, 3}) {
      check_permuted<T>({100, 70}, {1, 0}, gap);
      check_permuted<T>({16, 33}, {1, 0}, gap);
      check_permuted<T>({3, 33, 35}, {0, 2, 1}, gap);
      check_permuted<T>({3, 9, 20, 18}, {0, 3, 1, 2}, gap);  // NHWC as NCHW
      check_permuted<T>({2, 20, 17, 18}, {3, 0, 1, 2}, gap);
      check_permuted<T>({20, 2, 18}, {2, 1, 0}, gap);
    }
  }

#ifdef UNDERSTUDY_EMULATED_CUDA
  TEST_CASE("cuda: transposed copies do not depend on the order of threads") {
    emulated::set_reversed(true);
    check_permuted<float>({3, 33, 35}, {0, 2, 1}, 0);
    emulated::set_reversed(false);
  }

  TEST_CASE("cuda: fills and copies of nothing launch nothing") {
    OnGpu<float> out(Dims{0, 3});
    const OnGpu<std::int32_t> in(Dims{0, 3});
    const long before = emulated::counts().launches;
    gpu_backend().fill(out, 1);
    gpu_backend().copy(out, out);
    gpu_backend().copy(out, in);
    CHECK(emulated::counts().launches == before);
  }
#endif
}

}  // namespace understudy::testing
