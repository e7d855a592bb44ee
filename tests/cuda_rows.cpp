// Softmax, losses and argmax on a GPU, for rows of every kind of team: part of a warp, a warp, a
// block, and too long for registers. The op list has the rest.
#include "tests/cuda_repeat.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

constexpr std::int64_t row_sizes[] = {1,   2,   3,   10,  16,   17,   31,   32,   33,   127,  128,
                                      129, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 5003};
// Rows to a block: 256 for one column, 8 for a warp each, 1.
std::vector<std::int64_t> rows_for(std::int64_t C) {
  if (C > 512) return {1, 2};
  return {1, 7, 8, 9, C <= 3 ? 257 : 33};
}

template <class Body>
void for_shapes(Body&& body) {
  for (const std::int64_t C : row_sizes)
    for (const std::int64_t rows : rows_for(C)) {
      INFO(fmt::format("({},{})", rows, C));
      body(rows, C);
    }
}

Array<std::int64_t> labels(std::int64_t rows, std::int64_t C) {
  Array<std::int64_t> label(Dims{rows});
  Draw draw(21);
  for (std::int64_t r = 0; r < rows; ++r) label[r] = draw.below(C);
  return label;
}

template <class T>
bool close(const Array<T>& got, const Array<double>& want) {
  return worst_mismatch(got, [&](const Dims& i) { return want.at(i); }) <= 32 * rounding<T>;
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: softmax and log-softmax of rows of every length", T, float, double) {
    if (skipped()) return;
    for_shapes([](std::int64_t rows, std::int64_t C) {
      const Dims shape{rows, C};
      const auto x = OnGpu<T>::uniform(shape, Layout::dense, 22, -8, 8);
      const auto dy = OnGpu<T>::uniform(shape, Layout::dense, 23, -1, 1);
      const auto got = repeated([&] {
        OnGpu<T> y(shape), dx(shape), log_y(shape), log_dx(shape);
        gpu_backend().softmax(y, x);
        gpu_backend().softmax_backward(dx, dy, y);
        gpu_backend().log_softmax(log_y, x);
        gpu_backend().log_softmax_backward(log_dx, dy, log_y);
        return std::vector{y.now(), dx.now(), log_y.now(), log_dx.now()};
      });
      const Array<double> x64 = in_double(x.before()), dy64 = in_double(dy.before());
      Array<double> y(shape), dx(shape);
      cpu_backend().softmax(y, x64);
      cpu_backend().softmax_backward(dx, dy64, y);
      CHECK(close(got[0], y));
      CHECK(close(got[1], dx));
      cpu_backend().log_softmax(y, x64);
      cpu_backend().log_softmax_backward(dx, dy64, y);
      CHECK(close(got[2], y));
      CHECK(close(got[3], dx));
    });
  }

  TEST_CASE_TEMPLATE("cuda: cross-entropy of rows of every length", T, float, double) {
    if (skipped()) return;
    for_shapes([](std::int64_t rows, std::int64_t C) {
      const Dims shape{rows, C};
      const auto x = OnGpu<T>::uniform(shape, Layout::dense, 26, -8, 8);
      const OnGpu<std::int64_t> label(labels(rows, C));
      const Array<double> x64 = in_double(x.before());
      Array<double> loss(Dims{rows}), probability(shape), dx(shape);
      cpu_backend().cross_entropy(loss, probability, x64, label.before());
      for (const Layout layout : {Layout::dense, Layout::scalar}) {
        const auto dloss = OnGpu<T>::uniform(Dims{rows}, layout, 27, -1, 1);
        const auto got = repeated([&] {
          OnGpu<T> losses(Dims{rows}), y(shape), slopes(shape);
          gpu_backend().cross_entropy(losses, y, x, label);
          gpu_backend().cross_entropy_backward(slopes, dloss, y, label);
          return std::vector{losses.now(), y.now(), slopes.now()};
        });
        cpu_backend().cross_entropy_backward(dx, in_double(dloss.before()), probability,
                                             label.before());
        CHECK(close(got[0], loss));
        CHECK(close(got[1], probability));
        CHECK(close(got[2], dx));
      }
    });
  }

  TEST_CASE("cuda: rows in place, and from where memory is not aligned") {
    if (skipped()) return;
    for (const std::int64_t C : {10, 513, 4097}) {
      CAPTURE(C);
      const Dims shape{3, C};
      const auto x = Array<float>::uniform(shape, Layout::dense, 28, -3, 3);
      const OnGpu<std::int64_t> label(labels(3, C));
      OnGpu<float> y(shape), loss(Dims{3}), memory(Dims{3 * C + 4}), same_loss(Dims{3});
      gpu_backend().cross_entropy(loss, y, OnGpu<float>(x), label);
      const View place = moved(memory, shape, 1);
      gpu_backend().copy(place, OnGpu<float>(x));
      gpu_backend().cross_entropy(same_loss, place, place, label);
      CHECK(same_bits(loss.now(), same_loss.now()));
      const Array<float> want = y.now(), got = memory.now();
      bool same = true;
      for (std::int64_t i = 0; i < 3 * C; ++i) same = same && want[i] == got[i + 1];
      CHECK(same);

      const auto dloss = OnGpu<float>::uniform(Dims{3}, Layout::dense, 27, -1, 1);
      gpu_backend().cross_entropy_backward(y, dloss, y, label);
      gpu_backend().cross_entropy_backward(place, dloss, place, label);
      const Array<float> slopes = y.now(), moved_slopes = memory.now();
      for (std::int64_t i = 0; i < 3 * C; ++i) same = same && slopes[i] == moved_slopes[i + 1];
      CHECK(same);
      CHECK(memory.now().guards_intact());
    }
  }

  TEST_CASE("cuda: huge, infinite and NaN logits") {
    if (skipped()) return;
    for (const std::int64_t C : {3, 40, 600, 5000}) {
      CAPTURE(C);
      const Dims shape{5, C};
      Array<float> x(shape);
      for (std::int64_t i = 0; i < 5 * C; ++i) x[i] = -INFINITY;
      const float rows[5][3] = {{1e30f, -1e30f, 0},
                                {-INFINITY, 1, 2},
                                {NAN, 1, 2},
                                {-200, -200, -200},
                                {-INFINITY, -INFINITY, -INFINITY}};
      Array<std::int64_t> label(Dims{5});
      for (std::int64_t r = 0; r < 5; ++r) {
        for (std::int64_t c = 0; c < 3; ++c) x.at({r, C - 3 + c}) = rows[r][c];
        label[r] = C - 2;
      }
      Array<float> want_loss(Dims{5}), want(shape);
      cpu_backend().cross_entropy(want_loss, want, x, label);
      OnGpu<float> y(shape), loss(Dims{5});
      gpu_backend().cross_entropy(loss, y, OnGpu<float>(x), OnGpu<std::int64_t>(label));
      const Array<float> got_loss = loss.now(), got = y.now();
      CHECK(got_loss[0] == 2e30f);
      CHECK(std::isnan(got_loss[2]));
      CHECK(std::isnan(got_loss[4]));
      CHECK(worst_mismatch(got_loss, [&](const Dims& i) { return double{want_loss.at(i)}; }) <=
            4 * rounding<float>);
      CHECK(worst_mismatch(got, [&](const Dims& i) { return double{want.at(i)}; }) <=
            4 * rounding<float>);
    }
  }

  TEST_CASE_TEMPLATE("cuda: argmax takes the first of equals, and NaN before all", T, float,
                     double) {
    if (skipped()) return;
    for_shapes([](std::int64_t rows, std::int64_t C) {
      for (const int special : {0, 1, 2}) {
        CAPTURE(special);
        // Coarse values, so that many are equal; rows of the least there is; rows with some NaN.
        auto x = Array<T>::uniform({rows, C}, Layout::dense, 28, -2, 2);
        for (std::int64_t i = 0; i < rows * C; ++i) x[i] = std::round(x[i]);
        if (special == 1)
          for (std::int64_t i = 0; i < rows * C; ++i) x[i] = -static_cast<T>(INFINITY);
        if (special == 2)
          for (std::int64_t i = C / 2; i < rows * C; i += 3) x[i] = static_cast<T>(NAN);
        Array<std::int64_t> want(Dims{rows});
        cpu_backend().argmax(want, x);
        OnGpu<std::int64_t> out(Dims{rows}, Layout::gapped);
        gpu_backend().argmax(out, OnGpu<T>(x));
        const auto got = out.now();
        std::int64_t wrong = 0;
        for (std::int64_t r = 0; r < rows; ++r) wrong += got.at({r}) != want[r];
        CHECK(wrong == 0);
        CHECK(got.guards_intact());
      }
    });
  }
}
