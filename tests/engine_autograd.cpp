// Recording and walking graphs: accumulation, sharing, freezing, and every way to misuse them. The
// gradients of the ops themselves are tested in engine_ops_gradient.cpp.
#include "engine/autograd.h"

#include <doctest/doctest.h>

#include <thread>

#include "engine/ops.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;

namespace {

using Values = std::vector<double>;

Tensor leaf(const Values& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).set_requires_grad(true);
}
Values gradient_of(const Tensor& x) { return x.grad().to_vector<double>(); }

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("autograd: gradients add up over two graphs") {
  const Tensor x = leaf({1, 2});
  sum(square(x)).backward();
  CHECK(gradient_of(x) == Values{2, 4});
  sum(3 * x).backward();
  CHECK(gradient_of(x) == Values{5, 7});
  Tensor(x).clear_grad();
  CHECK(!x.grad().defined());
  sum(x).backward();
  CHECK(gradient_of(x) == Values{1, 1});
}

TEST_CASE("autograd: a gradient that was looked at does not change afterwards") {
  const Tensor x = leaf({1, 2});
  sum(x).backward();
  const Tensor before = x.grad();
  sum(x).backward();
  CHECK(before.to_vector<double>() == Values{1, 1});
  CHECK(gradient_of(x) == Values{2, 2});
}

TEST_CASE("autograd: shared subexpressions are walked once, when their gradient is complete") {
  const Tensor x = leaf({3});
  int walks = 0;
  const Tensor shared = record("probe", (x * 2).detach(), {x}, [&](const Tensor& dy, Wanted) {
    ++walks;
    return Gradients{dy * 2};
  });
  // A diamond with arms of different lengths.
  (exp(log(neg(neg(shared)))) + shared * shared).backward();
  CHECK(walks == 1);
  CHECK(std::abs(x.grad().item() - (2 + 2 * 2 * 6)) <= 1e-12);
}

TEST_CASE("autograd: a tensor may be several inputs of an op") {
  const Tensor a = leaf({3, -2});
  sum(a * a).backward();
  CHECK(gradient_of(a) == Values{6, -4});
  const Tensor b = leaf({3, -2});
  sum(b + b).backward();
  CHECK(gradient_of(b) == Values{2, 2});
  const Tensor c = leaf({3, -2});
  sum(concat({c, c, c}, 0)).backward();
  CHECK(gradient_of(c) == Values{3, 3});
  const Tensor m = Tensor::from(Values{1, 2, 3, 4}, {2, 2}).set_requires_grad(true);
  sum(matmul(m, m)).backward();
  CHECK(gradient_of(m) == Values{7, 11, 9, 13});
  // Doubling 60 times: paths multiply, walks do not.
  const Tensor d = leaf({1});
  Tensor y = d;
  for (int i = 0; i < 60; ++i) y = y + y;
  y.backward();
  CHECK(d.grad().item() == 0x1p60);
}

TEST_CASE("autograd: no two leaves share a gradient, and none shares one with a seed") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor seed = Tensor::ones({2}, DType::f64);
  (a + b).backward(seed);
  Tensor(a.grad()).fill_(7);
  CHECK(gradient_of(b) == Values{1, 1});
  CHECK(seed.to_vector<double>() == Values{1, 1});
  const Tensor c = leaf({1, 2});
  c.backward(seed);
  Tensor(c.grad()).fill_(7);
  CHECK(seed.to_vector<double>() == Values{1, 1});
  // Parts of one gradient, too.
  const Tensor d = leaf({1, 2}), e = leaf({3, 4});
  concat({d, e}, 0).backward(Tensor::ones({4}, DType::f64));
  Tensor(d.grad()).fill_(7);
  CHECK(gradient_of(e) == Values{1, 1});
}

TEST_CASE("autograd: frozen parameters pass gradients to what is before them") {
  const Tensor x = Tensor::from(Values{1, 2}, {1, 2}).set_requires_grad(true);
  Tensor weight = Tensor::from(Values{1, -1, 2, 0.5}, {2, 2}).set_requires_grad(true);
  weight.set_requires_grad(false);
  sum(linear(x, weight, Tensor())).backward();
  CHECK(gradient_of(x) == Values{3, -0.5});
  CHECK(!weight.grad().defined());
}

TEST_CASE("autograd: nothing is recorded where nothing requires a gradient") {
  const Tensor x = Tensor::from(Values{1}, {1});
  CHECK(!exp(x).requires_grad());
  CHECK(exp(x).is_leaf());
  const Tensor y = leaf({1});
  CHECK(!exp(y).is_leaf());
  CHECK(exp(y).requires_grad());
  CHECK(!exp(y).detach().requires_grad());
  CHECK(!equal(y, y).requires_grad());
  CHECK(!cast(y, DType::i64).requires_grad());
}

TEST_CASE("autograd: a NoGradGuard holds in its scope and its thread") {
  const Tensor x = leaf({1});
  {
    const NoGradGuard outer;
    CHECK(!recording());
    {
      const NoGradGuard inner;
      CHECK(!exp(x).requires_grad());
    }
    CHECK(!recording());
    bool elsewhere = false;
    std::thread([&] { elsewhere = recording() && exp(x).requires_grad(); }).join();
    CHECK(elsewhere);
  }
  CHECK(recording());
  CHECK(exp(x).requires_grad());
}

TEST_CASE("autograd: detach cuts the graph and shares the elements") {
  const Tensor x = leaf({2});
  const Tensor y = x * x;
  (y.detach() * x).backward();
  CHECK(x.grad().item() == 4);
  Tensor cut = x.detach();
  cut.fill_(5);
  CHECK(x.item() == 5);
}

TEST_CASE("autograd: a second backward through one graph is refused, every time") {
  const std::string freed =
      "[backward] the graph behind 'square' was already used and freed by an earlier backward(); "
      "run the forward pass again";
  const Tensor x = leaf({3});
  const Tensor y = square(x);
  y.backward();
  CHECK(error_text([&] { y.backward(); }) == freed);
  // And through a new end of it. The third must not take the second's remains for its own.
  for (int i = 0; i < 3; ++i) CHECK(error_text([&] { neg(y).backward(); }) == freed);
  CHECK(x.grad().item() == 6);
}

TEST_CASE("autograd: a graph that is kept takes another seed") {
  const Tensor x = leaf({1, 2});
  const Tensor y = exp(square(x)) * x;  // x reaches y twice
  std::vector<Values> columns;
  for (const AfterBackward after :
       {AfterBackward::keep_graph, AfterBackward::keep_graph, AfterBackward::free_graph}) {
    Tensor(x).clear_grad();
    y.backward(Tensor::from(columns.size() == 1 ? Values{0, 1} : Values{1, 0}, {2}), after);
    columns.push_back(gradient_of(x));
  }
  const double e = std::exp(1.0);
  CHECK(std::abs(columns[0][0] - 3 * e) <= 1e-12);
  CHECK(columns[0][1] == 0);
  CHECK(columns[1][0] == 0);
  CHECK(std::abs(columns[1][1] - 9 * std::exp(4.0)) <= 1e-9);
  CHECK(columns[2] == columns[0]);
  CHECK_THROWS_AS(y.backward(Tensor::ones({2}, DType::f64)), Error);  // the last one freed it
}

TEST_CASE("autograd: a saved tensor that was changed in place is refused") {
  const Tensor x = leaf({1, 2});
  Tensor hidden = exp(x);
  const Tensor y = sum(hidden);
  {
    const NoGradGuard no_grad;
    hidden.fill_(0);
  }
  CHECK(error_text([&] { y.backward(); }) ==
        "[exp] a tensor of shape (2) that backward needs was changed in place after it was used; "
        "clone() it before changing it");
  // Through another view of the same elements, and through a leaf.
  const Tensor z = square(x);
  Tensor alias = x.detach();
  alias.mutable_data<double>()[0] = 9;
  CHECK(error_text([&] { sum(z).backward(); }).starts_with("[square] a tensor of shape (2) that"));
  // What backward does not read may change.
  Tensor shifted = x + 1.0;
  const Tensor w = sum(shifted);
  {
    const NoGradGuard no_grad;
    shifted.fill_(0);
  }
  w.backward();
  CHECK(gradient_of(x) == Values{1, 1});
}

TEST_CASE("autograd: what is being recorded through is not changed in place") {
  Tensor x = leaf({1, 2});
  CHECK(error_text([&] { x.fill_(0); }) ==
        "[fill_] this tensor requires a gradient and cannot be changed in place while ops are "
        "being recorded; use a NoGradGuard");
  Tensor y = exp(x);
  CHECK(error_text([&] { y.copy_(x); }) ==
        "[copy_] this tensor requires a gradient and cannot be changed in place while ops are "
        "being recorded; use a NoGradGuard");
  const NoGradGuard no_grad;
  x.fill_(4);
  CHECK(x.to_vector<double>() == Values{4, 4});
}

TEST_CASE("autograd: where backward may start") {
  const Tensor x = leaf({1, 2});
  CHECK(error_text([&] { exp(x).backward(); }) ==
        "[backward] needs one number to start from, not a tensor of shape (2); take a mean or sum, "
        "or pass a seed");
  CHECK(error_text([&] { exp(x).backward(Tensor::ones({3}, DType::f64)); }) ==
        "[backward] the seed is (3) of float64 on cpu, the tensor is (2) of float64 on cpu");
  CHECK(error_text([&] { exp(x).backward(Tensor::ones({2})); }) ==
        "[backward] the seed is (2) of float32 on cpu, the tensor is (2) of float64 on cpu");
  CHECK(error_text([&] { Tensor::ones({}).backward(); }) ==
        "[backward] this tensor does not depend on anything that requires a gradient");
  CHECK(error_text([&] { Tensor().backward(); }) == "an undefined tensor was used");
  const Tensor one = Tensor::from(Values{3}, {1, 1}).set_requires_grad(true);
  square(one).backward();  // one number in any shape
  CHECK(one.grad().shape() == Shape{1, 1});
  one.backward();  // a leaf is its own result
  CHECK(one.grad().item() == 7);
}

TEST_CASE("autograd: which tensors may require a gradient") {
  for (const DType dtype : {DType::u8, DType::i32, DType::i64}) {
    Tensor x = Tensor::zeros({2}, dtype);
    CHECK(error_text([&] { x.set_requires_grad(true); }) ==
          fmt::format("[set_requires_grad] a tensor of {} has no gradient", to_string(dtype)));
    x.set_requires_grad(false);
  }
  Tensor y = exp(leaf({1}));
  CHECK(error_text([&] { y.set_requires_grad(false); }) ==
        "[set_requires_grad] only a leaf can be changed, and this tensor is the result of 'exp'; "
        "use detach()");
}

TEST_CASE("autograd: a gradient that is set is kept dense and without its graph") {
  Tensor x = Tensor::zeros({2, 3}, DType::f64).set_requires_grad(true);
  CHECK(error_text([&] {
          x.set_grad(Tensor::zeros({3, 2}, DType::f64));
        }) ==
        "[set_grad] the gradient of a tensor (2,3) of float64 on cpu must be like it, found (3,2) "
        "of float64 on cpu");
  x.set_grad(transpose(Tensor::from(Values{1, 2, 3, 4, 5, 6}, {3, 2})));
  CHECK(x.grad().is_contiguous());
  CHECK(gradient_of(x) == Values{1, 3, 5, 2, 4, 6});
  x.set_grad(x * 2);  // kept as it is, this would hold x itself for ever
  CHECK(x.grad().is_leaf());
}

TEST_CASE("autograd: closures that give the wrong number of gradients are found") {
  const Tensor x = leaf({1});
  const Tensor y =
      record("wrong", x.detach(), {x}, [](const Tensor&, Wanted) { return Gradients{}; });
  CHECK(error_text([&] { y.backward(); }) == "[wrong] its backward gives 0 gradients for 1 inputs");
}

TEST_CASE("autograd: an exception in the middle leaves everything usable") {
  const Tensor x = leaf({2}), w = leaf({5});
  const Tensor shared = x * w;  // not reached when `failing` throws, but queued
  const Tensor failing = record("failing", shared.detach(), {shared},
                                [](const Tensor&, Wanted) -> Gradients { fail("on purpose"); });
  const Tensor both = failing + shared;
  CHECK(error_text([&] { both.backward(); }) == "on purpose");
  CHECK(recording());
  CHECK(!x.grad().defined());
  (shared * 3).backward();
  CHECK(x.grad().item() == 15);
  CHECK(w.grad().item() == 6);
}

TEST_SUITE_END();
