#include "tests/kernels_arrays.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

struct Sizes {
  std::int64_t M, N, K;
};
const Sizes small_sizes[] = {{1, 1, 1}, {2, 3, 4},   {1, 7, 5},   {7, 1, 5},
                             {5, 6, 1}, {1, 1, 9},   {0, 3, 4},   {3, 0, 4},
                             {3, 4, 0}, {17, 33, 9}, {8, 16, 32}, {65, 10, 31}};
// Enough work for several threads, cut along rows, along columns and along both; thin ones too.
const Sizes large_sizes[] = {{64, 200, 784}, {784, 200, 64}, {90, 90, 190}, {13, 3000, 60},
                             {3000, 9, 60},  {1, 1500, 900}, {1500, 1, 900}};

// a · b in double, dense.
std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b,
                            const Sizes& s) {
  std::vector<double> out(static_cast<std::size_t>(s.M * s.N), 0.0);
  for (std::int64_t r = 0; r < s.M; ++r)
    for (std::int64_t k = 0; k < s.K; ++k) {
      const double left = a[static_cast<std::size_t>(r * s.K + k)];
      for (std::int64_t c = 0; c < s.N; ++c)
        out[static_cast<std::size_t>(r * s.N + c)] +=
            left * b[static_cast<std::size_t>(k * s.N + c)];
    }
  return out;
}

struct Options {
  bool bias, relu, accumulate;
};

template <class T>
void check_matmul(const Sizes& s, Layout a_layout, Layout b_layout, const Options& options) {
  INFO(fmt::format("({},{}) x ({},{}), {} x {}, bias {}, relu {}, accumulate {}", s.M, s.K, s.K,
                   s.N, name_of(a_layout), name_of(b_layout), options.bias, options.relu,
                   options.accumulate));
  const auto a = Array<T>::uniform(Dims{s.M, s.K}, a_layout, 31, -1, 1);
  const auto b = Array<T>::uniform(Dims{s.K, s.N}, b_layout, 32, -1, 1);
  const auto bias = Array<T>::uniform(Dims{s.N}, Layout::dense, 33, -1, 1);
  const Dims shape{s.M, s.N};
  const auto before = Array<T>::uniform(shape, Layout::dense, 34, -1, 1);
  Array<T> out = options.accumulate ? before : Array<T>(shape);
  const ConstView bias_view = bias;
  cpu_backend().matmul(out, a, b,
                       {.bias = options.bias ? &bias_view : nullptr,
                        .relu = options.relu,
                        .accumulate = options.accumulate});
  const auto exact = product(values_of(a), values_of(b), s);
  const double worst = worst_mismatch(out, [&](const Dims& i) {
    double want = exact[static_cast<std::size_t>(i[0] * s.N + i[1])];
    if (options.accumulate) want += before.at(i);
    if (options.bias) want += bias[i[1]];
    return options.relu && want < 0 ? 0 : want;
  });
  CHECK(worst <= (4 + std::sqrt(double(s.K))) * 8 * rounding<T>);
  CHECK(out.guards_intact());
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE_TEMPLATE("small products of all layouts with every epilogue", T, float, double) {
    under_all_settings([] {
      for (const Sizes& s : small_sizes)
        for (const Layout a : input_layouts)
          for (const Layout b : input_layouts)
            for (int options = 0; options < 8; ++options)
              check_matmul<T>(s, a, b,
                              {(options & 1) != 0, (options & 2) != 0, (options & 4) != 0});
    });
  }

  TEST_CASE_TEMPLATE("large products over several threads", T, float, double) {
    const int before = num_threads();
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      for (const Sizes& s : large_sizes)
        for (const Layout a : {Layout::dense, Layout::transposed})
          for (const Layout b : {Layout::dense, Layout::transposed})
            for (const bool accumulate : {false, true})
              check_matmul<T>(s, a, b, {!accumulate, !accumulate, accumulate});
    }
    set_num_threads(before);
  }

  TEST_CASE("a product has the same bits at every run") {
    const auto a = Array<float>::uniform(Dims{64, 784}, Layout::dense, 35, -1, 1);
    const auto b = Array<float>::uniform(Dims{784, 200}, Layout::dense, 36, -1, 1);
    Array<float> first(Dims{64, 200}), again(Dims{64, 200});
    cpu_backend().matmul(first, a, b, {});
    for (int run = 0; run < 20; ++run) {
      cpu_backend().matmul(again, a, b, {});
      CHECK(worst_mismatch(again, [&](const Dims& i) { return double{first.at(i)}; }) <= 0);
    }
  }

  TEST_CASE("positive definite systems are solved in place") {
    for (const std::int64_t n : {0, 1, 2, 5, 40, 130}) {
      for (const std::int64_t m : {0, 1, 3, 50}) {
        CAPTURE(n);
        CAPTURE(m);
        // a = c · cᵀ + n · 1, from which the right side of a known x is made.
        const auto c = Array<double>::uniform(Dims{n, n}, Layout::dense, 37, -1, 1);
        const auto x = Array<double>::uniform(Dims{n, m}, Layout::dense, 38, -1, 1);
        Array<double> a(Dims{n, n}), b(Dims{n, m});
        for_each_index(Dims{n, n}, [&](const Dims& i) {
          double total = i[0] == i[1] ? static_cast<double>(n) : 0;
          for (std::int64_t k = 0; k < n; ++k) total += c.at(Dims{i[0], k}) * c.at(Dims{i[1], k});
          a.at(i) = total;
        });
        for_each_index(Dims{n, m}, [&](const Dims& i) {
          double total = 0;
          for (std::int64_t k = 0; k < n; ++k) total += a.at(Dims{i[0], k}) * x.at(Dims{k, i[1]});
          b.at(i) = total;
        });
        CHECK(cpu_backend().solve_spd(a, b));
        CHECK(worst_mismatch(b, [&](const Dims& i) { return x.at(i); }) <= 1e-11);
        CHECK(a.guards_intact());
        CHECK(b.guards_intact());
      }
    }
  }

  TEST_CASE("what is not positive definite is refused") {
    const double matrices[][4] = {
        {0, 0, 0, 1}, {1, 2, 2, 1}, {-1, 0, 0, 1}, {NAN, 0, 0, 1}, {1, NAN, NAN, 1}};
    for (const auto& matrix : matrices) {
      Array<double> a(Dims{2, 2}), b(Dims{2, 1});
      for (std::int64_t i = 0; i < 4; ++i) a[i] = matrix[i];
      b[0] = b[1] = 1;
      CHECK_FALSE(cpu_backend().solve_spd(a, b));
    }
  }
}
