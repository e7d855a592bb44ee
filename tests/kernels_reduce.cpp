#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

// The naive reduction in long double; NaN wins a maximum.
template <class T>
std::vector<long double> naive(Reduction op, const Array<T>& in, const Dims& out_shape) {
  const Dims strides = contiguous_strides(out_shape);
  std::vector<long double> out(static_cast<std::size_t>(out_shape.count()),
                               op == Reduction::sum ? 0.0L : -INFINITY);
  for_each_index(in.shape(), [&](const Dims& index) {
    std::int64_t at = 0;
    for (int axis = 0; axis < index.rank(); ++axis)
      if (out_shape[axis] != 1) at += index[axis] * strides[axis];
    long double& value = out[static_cast<std::size_t>(at)];
    const long double x = in.at(index);
    if (op == Reduction::sum)
      value += x;
    else if (std::isnan(x) || x > value)
      value = std::isnan(value) ? value : x;
  });
  return out;
}

template <class T>
void check_reduce(const Array<T>& in, int mask, Layout out_layout, double tolerance) {
  const Dims out_shape = reduced_shape(in.shape(), mask);
  const Dims dense = contiguous_strides(out_shape);
  for (const Reduction op : {Reduction::sum, Reduction::max}) {
    INFO(fmt::format("{} {} -> {}", op == Reduction::sum ? "sum" : "max", to_string(in.shape()),
                     to_string(out_shape)));
    const auto want = naive(op, in, out_shape);
    Array<T> out(out_shape, out_layout);
    cpu_backend().reduce(op, out, in);
    CHECK(worst_mismatch(out, [&](const Dims& i) {
            return static_cast<double>(want[static_cast<std::size_t>(offset_of(i, dense))]);
          }) <= tolerance);
    CHECK(out.guards_intact());
  }
}

const Dims small_shapes[] = {Dims{},        Dims{1},       Dims{7},          Dims{0},
                             Dims{3, 0, 2}, Dims{0, 5},    Dims{64, 10},     Dims{5, 37},
                             Dims{1, 9},    Dims{4, 3, 5}, Dims{2, 3, 4, 5}, Dims{3, 1, 70}};
// Large enough for several threads: over results, and over parts of one result.
const Dims large_shapes[] = {Dims{100003},   Dims{700, 150},   Dims{33000, 3},
                             Dims{3, 33000}, Dims{2, 9000, 5}, Dims{40, 30, 50}};

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("reductions over every set of axes, all strides", T, float, double) {
    under_all_settings([] {
      for (const Dims& shape : small_shapes)
        for (int mask = 0; mask < 1 << shape.rank(); ++mask)
          for (const Layout in : input_layouts)
            for (const Layout out : output_layouts) {
              INFO(fmt::format("{} <- {}", name_of(out), name_of(in)));
              // Sums of double carry roundings of their own, sums of float one.
              check_reduce(Array<T>::uniform(shape, in, 11, -1, 1), mask, out,
                           (sizeof(T) == 4 ? 1 : 64) * rounding<T>);
            }
    });
  }

  TEST_CASE_TEMPLATE("large reductions stay as exact as the result can hold", T, float, double) {
    under_all_settings([] {
      for (const Dims& shape : large_shapes)
        for (int mask = 0; mask < 1 << shape.rank(); ++mask)
          for (const Layout in : {Layout::dense, Layout::transposed, Layout::gapped}) {
            INFO(name_of(in));
            check_reduce(Array<T>::uniform(shape, in, 12, -1, 2), mask, Layout::dense,
                         sizeof(T) == 4 ? rounding<T> : 1e4 * rounding<T>);
          }
    });
  }

  TEST_CASE("a NaN anywhere is the maximum, and an infinity is a sum") {
    under_all_settings([] {
      for (const std::int64_t at : {0, 1, 31, 32, 500, 998, 999}) {
        auto x = Array<float>::uniform(Dims{999 + 1}, Layout::dense, 13, -1, 1);
        x[at] = NAN;
        Array<float> out(Dims{1});
        cpu_backend().reduce(Reduction::max, out, x);
        CHECK(std::isnan(out[0]));
        cpu_backend().reduce(Reduction::sum, out, x);
        CHECK(std::isnan(out[0]));
        x[at] = INFINITY;
        cpu_backend().reduce(Reduction::sum, out, x);
        CHECK(out[0] == INFINITY);
        x[at] = -INFINITY;
        cpu_backend().reduce(Reduction::max, out, x);
        CHECK(out[0] < 1);
        CHECK(out[0] > 0.9f);
      }
      auto rows = Array<float>::uniform(Dims{40, 50}, Layout::dense, 14, -1, 1);
      rows.at(Dims{20, 7}) = NAN;
      Array<float> columns(Dims{1, 50});
      cpu_backend().reduce(Reduction::max, columns, rows);
      for (std::int64_t c = 0; c < 50; ++c) CHECK(std::isnan(columns[c]) == (c == 7));
    });
  }

  TEST_CASE("sums have the same bits on every instruction set and at every run") {
    const auto x = Array<float>::uniform(Dims{301, 707}, Layout::dense, 15, -1, 1);
    std::vector<float> first;
    const int threads_before = num_threads();
    under_all_settings([&] {
      set_num_threads(2);
      Array<float> all(Dims{1, 1}), columns(Dims{1, 707}), rows(Dims{301, 1});
      cpu_backend().reduce(Reduction::sum, all, x);
      cpu_backend().reduce(Reduction::sum, columns, x);
      cpu_backend().reduce(Reduction::sum, rows, x);
      std::vector<float> now{all[0]};
      for (std::int64_t i = 0; i < 707; ++i) now.push_back(columns[i]);
      for (std::int64_t i = 0; i < 301; ++i) now.push_back(rows[i]);
      if (first.empty()) first = now;
      CHECK(std::memcmp(first.data(), now.data(), now.size() * sizeof(float)) == 0);
    });
    set_num_threads(threads_before);
  }
}
