// Pointwise ops on a GPU against the CPU's results, bit for bit: the formulas are the same ones, and
// so is each operation in them.
#include <algorithm>

#include "tests/cuda_arrays.h"

#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated.h"
#endif

namespace understudy::testing {
namespace {

constexpr double p = 0.75;
constexpr int unaries = static_cast<int>(Unary::count), binaries = static_cast<int>(Binary::count);
// Those with a derivative come first.
constexpr int differentiable = static_cast<int>(Binary::equal);

// Functions that are ours for float, and the library's of each side for double.
template <class T>
bool is_library(Unary op) {
  return sizeof(T) == 8 &&
         (op == Unary::exp || op == Unary::log || op == Unary::tanh || op == Unary::sigmoid);
}

// Everything the contract has of pointwise ops, as run(name, whether it is the library's, function of
// a backend and its views of out, a, b and c).
template <class T, class Run>
void for_all_ops(Run&& run) {
  for (int id = 0; id < unaries; ++id) {
    const auto op = static_cast<Unary>(id);
    run(fmt::format("{}", to_string(op)), is_library<T>(op),
        [op](Backend& on, const View& out, const ConstView& a, const ConstView&, const ConstView&) {
          on.unary(op, out, a, p);
        });
    run(fmt::format("{} backward", to_string(op)), false,
        [op](Backend& on, const View& out, const ConstView& a, const ConstView& b,
             const ConstView& c) {
          // What the op does not save may be missing.
          const ConstView none{nullptr, b.dtype, b.shape, b.strides};
          on.unary_backward(op, out, a, saves(op) == Saves::input ? b : none,
                            saves(op) == Saves::output ? c : none, p);
        });
  }
  for (int id = 0; id < binaries; ++id) {
    const auto op = static_cast<Binary>(id);
    run(fmt::format("{}", to_string(op)), false,
        [op](Backend& on, const View& out, const ConstView& a, const ConstView& b,
             const ConstView&) { on.binary(op, out, a, b); });
    for (int side = 0; side < 2 && id < differentiable; ++side)
      run(fmt::format("{} backward {}", to_string(op), side), false,
          [op, side](Backend& on, const View& out, const ConstView& a, const ConstView& b,
                     const ConstView& c) { on.binary_backward(op, side, out, a, b, c); });
  }
  run("where", false,
      [](Backend& on, const View& out, const ConstView& a, const ConstView& b, const ConstView& c) {
        on.where(out, a, b, c);
      });
}

// The largest distance of two results, memory around them included: 0 for the same bits or two NaNs.
template <class T>
double difference(const Array<T>& got, const Array<T>& want) {
  double worst = got.block().size() == want.block().size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < want.block().size(); ++i) {
    const T a = got.block()[i], b = want.block()[i];
    if (std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b))) continue;
    // Zeros of two signs are not the same.
    worst =
        std::max({worst, mismatch(double{a}, double{b}), double{std::numeric_limits<T>::min()}});
  }
  return worst;
}

View part(const View& whole, std::int64_t skip, std::int64_t count) {
  return {whole.as<char>() + skip * static_cast<std::int64_t>(size_of(whole.dtype)), whole.dtype,
          Dims{count}, Dims{1}};
}
ConstView part(const ConstView& whole, std::int64_t skip, std::int64_t count) {
  return {whole.as<char>() + skip * static_cast<std::int64_t>(size_of(whole.dtype)), whole.dtype,
          Dims{count}, Dims{1}};
}

// Results of all ops on one shape; a, b and c of these layouts.
template <class T>
void check_layouts(const Dims& shape, Layout out_layout, Layout a_layout, Layout b_layout,
                   Layout c_layout) {
  INFO(fmt::format("{} {} <- {} {} {}", to_string(shape), name_of(out_layout), name_of(a_layout),
                   name_of(b_layout), name_of(c_layout)));
  const auto a = OnGpu<T>::uniform(shape, a_layout, 1, 0.25, 3);
  const auto b = OnGpu<T>::uniform(shape, b_layout, 2, 0.25, 3);
  const auto c = OnGpu<T>::uniform(shape, c_layout, 3, 0.25, 3);
  for_all_ops<T>([&](const std::string& name, bool library, auto&& op) {
    CAPTURE(name);
    Array<T> want(shape, out_layout);
    OnGpu<T> out(want);
    op(cpu_backend(), want, a.before(), b.before(), c.before());
    op(gpu_backend(), out, a, b, c);
    const Array<T> got = out.now();
    CHECK(difference(got, want) <= (library ? 8 * rounding<T> : 0));
    CHECK(got.guards_intact());
  });
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: pointwise ops have the CPU's bits at every count and alignment", T,
                     float, double) {
    if (skipped()) return;
    const Dims shape{1100};
    const auto a = OnGpu<T>::uniform(shape, Layout::dense, 1, 0.25, 3);
    const auto b = OnGpu<T>::uniform(shape, Layout::dense, 2, 0.25, 3);
    const auto c = OnGpu<T>::uniform(shape, Layout::dense, 3, 0.25, 3);
    struct Skips {
      std::int64_t out, in;
    };
    for (const std::int64_t count : {0, 1, 3, 4, 5, 8, 1023, 1024, 1027})
      for (const Skips skip : {Skips{0, 0}, {1, 1}, {4, 4}, {0, 1}, {2, 0}}) {
        for_all_ops<T>([&](const std::string& name, bool library, auto&& op) {
          INFO(fmt::format("{}, {} from {} and {}", name, count, skip.out, skip.in));
          Array<T> want(shape);
          OnGpu<T> out(want);
          const auto in = [&](const ConstView& whole) { return part(whole, skip.in, count); };
          op(cpu_backend(), part(View(want), skip.out, count), in(a.before()), in(b.before()),
             in(c.before()));
          op(gpu_backend(), part(View(out), skip.out, count), in(a), in(b), in(c));
          const Array<T> got = out.now();
          if (library)
            CHECK(difference(got, want) <= 8 * rounding<T>);
          else
            CHECK(same_bits(got, want));
        });
      }
  }

  TEST_CASE_TEMPLATE("cuda: pointwise ops have the CPU's bits on strided and repeated inputs", T,
                     float, double) {
    if (skipped()) return;
    // Rows that are whole quads, that end within one, and that are none.
    for (const Dims& shape : {Dims{}, Dims{5, 8}, Dims{5, 7}, Dims{6, 2}, Dims{3, 1, 12}})
      for (const Layout out : output_layouts)
        for (const Layout in : input_layouts) {
          check_layouts<T>(shape, out, in, Layout::dense, Layout::row_broadcast);
          check_layouts<T>(shape, out, Layout::dense, in, Layout::column_broadcast);
        }
    check_layouts<T>(Dims{2, 3, 4, 5}, Layout::dense, Layout::transposed, Layout::dense,
                     Layout::gapped);
  }

  TEST_CASE_TEMPLATE("cuda: pointwise ops agree on what is no ordinary number", T, float, double) {
    if (skipped()) return;
    using Limits = std::numeric_limits<T>;
    const std::vector<T> values = {T(0),
                                   -T(0),
                                   Limits::infinity(),
                                   -Limits::infinity(),
                                   T(NAN),
                                   Limits::min(),
                                   Limits::max(),
                                   Limits::denorm_min(),
                                   T(1),
                                   T(-1),
                                   T(p),
                                   T(88.9),
                                   T(-87),
                                   T(-Limits::min() / 4)};
    const auto n = static_cast<std::int64_t>(values.size());
    const Dims shape{n, n};
    Array<T> left(shape), right(shape);
    for_each_index(shape, [&](const Dims& i) {
      left.at(i) = values[static_cast<std::size_t>(i[0])];
      right.at(i) = values[static_cast<std::size_t>(i[1])];
    });
    const OnGpu<T> a(left), b(right);
    for_all_ops<T>([&](const std::string& name, bool library, auto&& op) {
      CAPTURE(name);
      Array<T> want(shape);
      OnGpu<T> out(want);
      op(cpu_backend(), want, left, right, right);
      op(gpu_backend(), out, a, b, b);
      CHECK(difference(out.now(), want) <= (library ? 8 * rounding<T> : 0));
    });
  }

  TEST_CASE_TEMPLATE("cuda: pointwise ops on many blocks, and in place", T, float, double) {
    if (skipped()) return;
    for (const std::int64_t count : {40000, 40001}) {
      const Dims shape{count};
      const auto x = Array<T>::uniform(shape, Layout::dense, 4, -3, 3);
      const auto y = Array<T>::uniform(shape, Layout::dense, 5, -3, 3);
      Array<T> want = x;
      OnGpu<T> out(x);
      const OnGpu<T> other(y);
      cpu_backend().unary(Unary::relu, want, want, 0);
      cpu_backend().binary(Binary::sub, want, want, y);
      gpu_backend().unary(Unary::relu, out, out, 0);
      gpu_backend().binary(Binary::sub, out, out, other);
      CHECK(same_bits(out.now(), want));
    }
  }

#ifdef UNDERSTUDY_EMULATED_CUDA
  TEST_CASE("cuda: pointwise ops on nothing launch nothing") {
    const auto a = OnGpu<float>::uniform(Dims{3, 0}, Layout::dense, 1, 0, 1);
    OnGpu<float> out(Dims{3, 0});
    const long before = emulated::counts().launches;
    for_all_ops<float>(
        [&](const std::string&, bool, auto&& op) { op(gpu_backend(), out, a, a, a); });
    CHECK(emulated::counts().launches == before);
  }
#endif
}

}  // namespace understudy::testing
