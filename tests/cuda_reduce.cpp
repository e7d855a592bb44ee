// Reductions on a GPU: sizes around the places where their kernels change or split the work, and the
// bits of their results. The op list has the rest.
#include <algorithm>

#include "tests/cuda_repeat.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

template <class T>
void check_reduce(const Dims& shape, int mask, Layout in_layout = Layout::dense,
                  Layout out_layout = Layout::dense) {
  const auto x = OnGpu<T>::uniform(shape, in_layout, 11, -1, 2);
  const Dims out_shape = reduced_shape(shape, mask);
  for (const Reduction op : {Reduction::sum, Reduction::max}) {
    INFO(fmt::format("{} {} -> {}, {} <- {}", op == Reduction::sum ? "sum" : "max",
                     to_string(shape), to_string(out_shape), name_of(out_layout),
                     name_of(in_layout)));
    Array<double> want(out_shape);
    cpu_backend().reduce(op, want, in_double(x.before()));
    OnGpu<T> out(out_shape, out_layout);
    gpu_backend().reduce(op, out, x);
    const Array<T> got = out.now();
    // Sums of double carry roundings of their own, sums of float one.
    const double terms = static_cast<double>(
        std::max<std::int64_t>(1, shape.count() / std::max<std::int64_t>(1, out_shape.count())));
    const double tolerance = (sizeof(T) == sizeof(float) ? 1 : 4 * std::sqrt(terms)) * rounding<T>;
    CHECK(worst_mismatch(got, [&](const Dims& i) { return want.at(i); }) <= tolerance);
    CHECK(got.guards_intact());
  }
}

// All of one array of floats, its rows, its columns.
std::vector<Array<float>> all_sums(const ConstView& x) {
  std::vector<Array<float>> sums;
  for (const Reduction op : {Reduction::sum, Reduction::max})
    for (const int mask : {1, 2, 3}) {
      OnGpu<float> out(reduced_shape(x.shape, mask));
      gpu_backend().reduce(op, out, x);
      sums.push_back(out.now());
    }
  return sums;
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: reductions of rows around every split", T, float, double) {
    if (skipped()) return;
    // Quads, warps, blocks, parts of a row.
    for (const std::int64_t R : {1, 3, 4, 5, 8, 9, 31, 33, 127, 128, 129, 2047, 2048, 2049})
      for (const std::int64_t rows : {1, 2, 7, 65, 257}) check_reduce<T>({rows, R}, 2);
    for (const std::int64_t R : {4095, 4096, 4097, 8193, 70001})
      for (const std::int64_t rows : {1, 3}) check_reduce<T>({rows, R}, 2);
    check_reduce<T>({513, 4097}, 2);
    check_reduce<T>({600001}, 1);
  }

  TEST_CASE_TEMPLATE("cuda: reductions of columns around every split", T, float, double) {
    if (skipped()) return;
    for (const std::int64_t C : {1, 2, 3, 4, 5, 10, 31, 32, 33, 64, 124, 128, 132, 260})
      for (const std::int64_t rows : {2, 4, 5, 8, 31, 33, 64, 127, 129})
        check_reduce<T>({rows, C}, 1);
    for (const std::int64_t C : {1, 3, 4, 10, 132})
      for (const std::int64_t rows : {1023, 1024, 1025, 4099}) check_reduce<T>({rows, C}, 1);
    check_reduce<T>({9000, 1, 3}, 1);
    check_reduce<T>({70, 65, 4}, 2);  // columns of several outer results
    check_reduce<T>({3, 3000, 6}, 2);
    check_reduce<T>({300, 5, 2}, 2);
  }

  TEST_CASE_TEMPLATE("cuda: reductions over every set of axes, all strides", T, float, double) {
    if (skipped()) return;
    for (const Dims& shape : {Dims{}, Dims{1}, Dims{5}, Dims{0}, Dims{3, 0, 2}, Dims{5, 37},
                              Dims{4, 3, 8}, Dims{2, 3, 4, 5}, Dims{2, 1, 3, 2, 2, 4}})
      for (int mask = 0; mask < 1 << shape.rank(); ++mask)
        for (const Layout in : input_layouts)
          for (const Layout out : output_layouts) check_reduce<T>(shape, mask, in, out);
    for (const Layout in : {Layout::transposed, Layout::gapped, Layout::row_broadcast})
      for (int mask = 0; mask < 8; ++mask) check_reduce<T>({20, 30, 50}, mask, in);
  }

  TEST_CASE("cuda: a NaN anywhere is the maximum, and an infinity is a sum") {
    if (skipped()) return;
    for (const std::int64_t size : {100, 3000, 20000})
      for (const std::int64_t at : {std::int64_t{0}, size / 2 + 1, size - 1}) {
        CAPTURE(at);
        const auto reduced = [&](Reduction op, float special) {
          auto x = Array<float>::uniform({size}, Layout::dense, 13, -1, 1);
          x[at] = special;
          OnGpu<float> out(Dims{1});
          gpu_backend().reduce(op, out, OnGpu<float>(x));
          return out.now()[0];
        };
        CHECK(std::isnan(reduced(Reduction::max, NAN)));
        CHECK(std::isnan(reduced(Reduction::sum, NAN)));
        CHECK(reduced(Reduction::sum, INFINITY) == INFINITY);
        CHECK(reduced(Reduction::max, -INFINITY) < 1);
        CHECK(reduced(Reduction::max, -INFINITY) > 0.9f);
      }
    auto x = Array<float>::uniform({400, 50}, Layout::dense, 14, -1, 1);
    x.at({200, 7}) = NAN;
    for (std::int64_t r = 0; r < 400; ++r) x.at({r, 8}) = -INFINITY;
    OnGpu<float> columns(Dims{1, 50});
    gpu_backend().reduce(Reduction::max, columns, OnGpu<float>(x));
    const Array<float> got = columns.now();
    for (std::int64_t c = 0; c < 50; ++c) CHECK(std::isnan(got[c]) == (c == 7));
    CHECK(got[8] == -INFINITY);
  }

  TEST_CASE("cuda: reductions have the same bits at every call") {
    if (skipped()) return;
    for (const Dims& shape : {Dims{301, 708}, Dims{2, 40003}, Dims{5000, 12}, Dims{5000, 7}}) {
      CAPTURE(to_string(shape));
      const auto x = OnGpu<float>::uniform(shape, Layout::dense, 15, -1, 1);
      repeated([&] { return all_sums(x); });
    }
  }

  TEST_CASE("cuda: sums of double have the same bits wherever the memory begins") {
    if (skipped()) return;
    for (const Dims& shape : {Dims{64, 100}, Dims{3, 5000}, Dims{3000, 8}, Dims{1, 50000}}) {
      CAPTURE(to_string(shape));
      const auto values = Array<double>::uniform(shape, Layout::dense, 16, -1, 1);
      std::vector<Array<double>> first;
      for (const std::int64_t by : {0, 1, 2}) {
        OnGpu<double> memory(Dims{shape.count() + 4});
        const View x = moved(memory, shape, by);
        gpu_backend().copy(x, OnGpu<double>(values));
        std::vector<Array<double>> sums;
        for (const int mask : {1, 2, 3}) {
          OnGpu<double> out(reduced_shape(shape, mask));
          gpu_backend().reduce(Reduction::sum, out, x);
          sums.push_back(out.now());
        }
        if (first.empty()) first = sums;
        for (std::size_t i = 0; i < sums.size(); ++i) CHECK(same_bits(sums[i], first[i]));
      }
    }
  }
}
