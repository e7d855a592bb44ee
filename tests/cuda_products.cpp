// Products on a GPU against double, in each precision, with everything that cuBLASLt cannot take as
// it lies.
#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "tests/cuda_arrays.h"

#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated_libraries.h"
#endif

namespace understudy::testing {
namespace {

struct Sizes {
  std::int64_t M, N, K;
};
struct Options {
  bool bias, relu, accumulate;
};

// Half of the last bit of a factor, relative: what rounding it costs at most.
double rounding_of(Precision precision) {
  return precision == Precision::bf16 ? 1.0 / 256 : precision == Precision::tf32 ? 1.0 / 2048 : 0;
}

template <class T>
void check_matmul(const Sizes& s, Layout a_layout, Layout b_layout, const Options& options,
                  Precision precision = Precision::fp32) {
  INFO(fmt::format("({},{}) x ({},{}), {} x {}, bias {}, relu {}, accumulate {}, {}", s.M, s.K, s.K,
                   s.N, name_of(a_layout), name_of(b_layout), options.bias, options.relu,
                   options.accumulate, to_string(precision)));
  const auto a = OnGpu<T>::uniform({s.M, s.K}, a_layout, 31, -1, 1);
  const auto b = OnGpu<T>::uniform({s.K, s.N}, b_layout, 32, -1, 1);
  const auto bias = OnGpu<T>::uniform({s.N}, Layout::dense, 33, -1, 1);
  const Dims shape{s.M, s.N};
  const auto before = Array<T>::uniform(shape, Layout::dense, 34, -1, 1);
  OnGpu<T> out = options.accumulate ? OnGpu<T>(before) : OnGpu<T>(shape);
  const ConstView bias_view = bias;
  gpu_backend().matmul(out, a, b,
                       {.bias = options.bias ? &bias_view : nullptr,
                        .relu = options.relu,
                        .accumulate = options.accumulate});
  const Array<T> got = out.now();
  const double worst = worst_mismatch(got, [&](const Dims& i) {
    double want = options.accumulate ? double{before.at(i)} : 0;
    for (std::int64_t k = 0; k < s.K; ++k)
      want += double{a.before().at({i[0], k})} * double{b.before().at({k, i[1]})};
    if (options.bias) want += double{bias.before()[i[1]]};
    return options.relu && want < 0 ? 0 : want;
  });
  const double terms = std::sqrt(static_cast<double>(s.K));
  const bool single = sizeof(T) == sizeof(float);
  CHECK(worst <= (4 + terms) * (8 * rounding<T> + (single ? 2 * rounding_of(precision) : 0)));
  CHECK(got.guards_intact());
}

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: products of all layouts with every epilogue", T, float, double) {
    if (skipped()) return;
    for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{2, 3, 4}, Sizes{1, 7, 5}, Sizes{7, 1, 5},
                           Sizes{5, 6, 1}, Sizes{0, 3, 4}, Sizes{3, 0, 4}, Sizes{3, 4, 0},
                           Sizes{3, 5, 0}, Sizes{17, 33, 9}, Sizes{8, 16, 32}})
      for (const Layout a : input_layouts)
        for (const Layout b : input_layouts)
          for (int options = 0; options < 8; ++options)
            check_matmul<T>(s, a, b, {(options & 1) != 0, (options & 2) != 0, (options & 4) != 0});
  }

  TEST_CASE("cuda: products in tf32 and bf16 round their factors and nothing else") {
    if (skipped()) return;
    for (const Precision precision : {Precision::tf32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{17, 33, 9}, Sizes{24, 16, 65}})
        for (const Layout a : input_layouts)
          for (const Layout b : input_layouts)
            for (const bool with : {false, true}) {
              check_matmul<float>(s, a, b, {with, with, !with}, precision);
              check_matmul<double>(s, a, b, {with, with, !with}, precision);
            }
    }
  }

  // 1 + 2^-9 is a float32, rounds to 1 in bf16, and keeps its last bit in tf32; 1 + 2^-12 is lost in
  // tf32, too, unless the library chose not to use it, as it may. Sums are wider than that in each.
  TEST_CASE("cuda: each precision is what its name says") {
    if (skipped()) return;
    const auto product_of_ones = [](Precision precision, float x) {
      const WithNumerics numerics({.precision = precision});
      Array<float> a({64, 64}), b({64, 64});
      for (std::int64_t i = 0; i < 64 * 64; ++i) {
        a[i] = i / 64 == i % 64 ? x : 0;  // x on the diagonal
        b[i] = 1;
      }
      const OnGpu<float> left(a), right(b);
      OnGpu<float> out(Dims{64, 64});
      gpu_backend().matmul(out, left, right, {});
      return out.now()[65];
    };
    const float ninth = 1 + 1.0f / 512, twelfth = 1 + 1.0f / 4096;
    CHECK(product_of_ones(Precision::fp32, twelfth) == twelfth);
    CHECK(product_of_ones(Precision::tf32, ninth) == ninth);
    const float rounded = product_of_ones(Precision::tf32, twelfth);
    CHECK((rounded == 1 || rounded == twelfth));
    CHECK(product_of_ones(Precision::bf16, ninth) == 1);
  }

  TEST_CASE("cuda: parts of tensors that begin anywhere are multiplied") {
    if (skipped()) return;
    const auto storage = OnGpu<float>::uniform({40 * 40}, Layout::dense, 5, -1, 1);
    const auto bias = OnGpu<float>::uniform({64}, Layout::dense, 6, -1, 1);
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      for (std::int64_t skip = 0; skip < 6; ++skip) {
        CAPTURE(skip);
        // a: rows of 13 with 20 between; b: columns of 13, 17 between.
        const auto part = [&](const OnGpu<float>& from, Dims shape, Dims strides) {
          ConstView view = from;
          view.data = view.as<float>() + skip;
          view.shape = shape;
          view.strides = strides;
          return view;
        };
        const ConstView a = part(storage, {9, 13}, {20, 1}), b = part(storage, {13, 11}, {1, 17});
        const ConstView shift = part(bias, {11}, {1});
        OnGpu<float> out(Dims{9, 11});
        gpu_backend().matmul(out, a, b, {.bias = &shift, .relu = true});
        const Array<float> got = out.now();
        const double worst = worst_mismatch(got, [&](const Dims& i) {
          double want = double{bias.before()[skip + i[1]]};
          for (std::int64_t k = 0; k < 13; ++k)
            want += double{storage.before()[skip + i[0] * 20 + k]} *
                    double{storage.before()[skip + k + i[1] * 17]};
          return std::max(want, 0.0);
        });
        CHECK(worst <= 1e-5 + 8 * rounding_of(precision));
        CHECK(got.guards_intact());
      }
    }
  }

  TEST_CASE("cuda: a NaN in a factor reaches its row alone, through the ReLU") {
    if (skipped()) return;
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      auto a = Array<float>::uniform({6, 9}, Layout::dense, 1, -1, 1);
      a.at({2, 4}) = NAN;
      const OnGpu<float> left(a);
      const auto right = OnGpu<float>::uniform({9, 8}, Layout::dense, 2, -1, 1);
      const auto bias = OnGpu<float>::uniform({8}, Layout::dense, 3, -1, 1);
      const ConstView shift = bias;
      for (const bool with_bias : {false, true}) {
        OnGpu<float> out(Dims{6, 8});
        gpu_backend().matmul(out, left, right,
                             {.bias = with_bias ? &shift : nullptr, .relu = true});
        const Array<float> got = out.now();
        for_each_index({6, 8}, [&](const Dims& i) { CHECK(std::isnan(got.at(i)) == (i[0] == 2)); });
      }
    }
  }

  TEST_CASE("cuda: a product has the same bits at every run, recorded or not") {
    if (skipped()) return;
    const auto a = OnGpu<float>::uniform({70, 90}, Layout::dense, 35, -1, 1);
    const auto b = OnGpu<float>::uniform({90, 50}, Layout::column_broadcast, 36, -1, 1);
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      const WithNumerics numerics({.precision = precision});
      OnGpu<float> first(Dims{70, 50}), again(Dims{70, 50}), recorded(Dims{70, 50});
      gpu_backend().matmul(first, a, b, {.relu = true});
      gpu_backend().matmul(again, a, b, {.relu = true});
      CHECK(same_bits(first.now(), again.now()));
      gpu_backend().begin_recording();
      gpu_backend().matmul(recorded, a, b, {.relu = true});
      const auto work = gpu_backend().end_recording();
      CHECK(same_bits(recorded.now(), Array<float>(Dims{70, 50})));  // not done yet
      work->run();
      CHECK(same_bits(recorded.now(), first.now()));
    }
  }

  TEST_CASE("cuda: a shape that was first seen while recording works, too") {
    if (skipped()) return;
    const auto a = OnGpu<float>::uniform({19, 23}, Layout::row_broadcast, 3, -1, 1);
    const auto b = OnGpu<float>::uniform({23, 29}, Layout::gapped, 4, -1, 1);
    const WithNumerics numerics({.precision = Precision::bf16});
    OnGpu<float> recorded(Dims{19, 29}), eager(Dims{19, 29});
    gpu_backend().begin_recording();
    gpu_backend().matmul(recorded, a, b, {.relu = true});
    const auto work = gpu_backend().end_recording();
    work->run();
    gpu_backend().matmul(eager, a, b, {.relu = true});
    CHECK(same_bits(recorded.now(), eager.now()));
  }

  TEST_CASE("cuda: positive definite systems are solved") {
    if (skipped()) return;
    for (const std::int64_t n : {0, 1, 2, 40})
      for (const std::int64_t m : {0, 1, 3}) {
        const auto c = Array<double>::uniform({n, n}, Layout::dense, 37, -1, 1);
        const auto x = Array<double>::uniform({n, m}, Layout::dense, 38, -1, 1);
        Array<double> a({n, n}), b({n, m});
        for_each_index({n, n}, [&](const Dims& i) {
          double total = i[0] == i[1] ? static_cast<double>(n) : 0;
          for (std::int64_t k = 0; k < n; ++k) total += c.at({i[0], k}) * c.at({i[1], k});
          a.at(i) = total;
        });
        for_each_index({n, m}, [&](const Dims& i) {
          double total = 0;
          for (std::int64_t k = 0; k < n; ++k) total += a.at({i[0], k}) * x.at({k, i[1]});
          b.at(i) = total;
        });
        OnGpu<double> matrix(a), side(b);
        CHECK(gpu_backend().solve_spd(matrix, side));
        const Array<double> got = side.now();
        CHECK(worst_mismatch(got, [&](const Dims& i) { return x.at(i); }) <= 1e-11);
        CHECK(got.guards_intact());
      }
    Array<double> negative({1, 1}), one({1, 1});
    negative[0] = -1;
    one[0] = 7;
    OnGpu<double> matrix(negative), side(one);
    CHECK_FALSE(gpu_backend().solve_spd(matrix, side));
    CHECK(side.now()[0] == 7);
  }

#ifdef UNDERSTUDY_EMULATED_CUDA
  // What a library does differently from version to version.
  TEST_CASE("cuda: a cuBLASLt without epilogues, or with a ReLU that drops NaN, is made up for") {
    if (skipped()) return;
    struct Manners {
      explicit Manners(const emulated::LibraryManners& m) { emulated::set_library_manners(m); }
      ~Manners() { emulated::set_library_manners({}); }
    };
    // Shapes of their own: plans are kept.
    std::int64_t size = 40;
    for (const emulated::LibraryManners& m : {emulated::LibraryManners{.refuses_epilogues = true},
                                              emulated::LibraryManners{.relu_drops_nan = true}}) {
      const Manners manners(m);
      check_matmul<float>({size, 6, 7}, Layout::dense, Layout::dense, {true, true, false});
      check_matmul<double>({size, 6, 7}, Layout::dense, Layout::dense, {true, true, true});
      check_matmul<float>({size, 6, 7}, Layout::dense, Layout::dense, {false, true, false});
      auto a = Array<float>::uniform({size, 7}, Layout::dense, 1, -1, 1);
      a[0] = NAN;
      const OnGpu<float> left(a);
      const auto right = OnGpu<float>::uniform({7, 6}, Layout::dense, 2, -1, 1);
      OnGpu<float> out(Dims{size, 6});
      gpu_backend().matmul(out, left, right, {.relu = true});
      CHECK(std::isnan(out.now()[0]));
      ++size;
    }
    {
      const Manners manners({.refuses_products = true});
      const auto a = OnGpu<float>::uniform({size, 7}, Layout::dense, 1, -1, 1);
      const auto b = OnGpu<float>::uniform({7, 6}, Layout::dense, 2, -1, 1);
      OnGpu<float> out(Dims{size, 6});
      CHECK_THROWS_WITH_AS(gpu_backend().matmul(out, a, b, {}), doctest::Contains("(42,7) x (7,6)"),
                           Error);
    }
    check_matmul<float>({size, 6, 7}, Layout::dense, Layout::dense, {true, true, false});
  }

  TEST_CASE("cuda: the library is asked once for a shape, and does what it can of an epilogue") {
    if (skipped()) return;
    const emulated::LibraryCounts before = emulated::library_counts();
    for (int run = 0; run < 3; ++run)
      check_matmul<float>({37, 5, 11}, Layout::dense, Layout::transposed, {true, true, false});
    const emulated::LibraryCounts& now = emulated::library_counts();
    CHECK(now.products_heuristics - before.products_heuristics == 1);
    CHECK(now.products - before.products == 4);  // one more to see what its ReLU does with a NaN
  }
#endif
}

}  // namespace
}  // namespace understudy::testing
