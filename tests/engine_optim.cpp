// Optimisers, gradient clipping and schedules against stored values of PyTorch (tests/reference).
#include "engine/optim/optimizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/schedule.h"
#include "kernels/check.h"
#include "tests/reference/clipping.h"
#include "tests/reference/optimizers.h"
#include "tests/reference/schedules.h"

using namespace understudy;

namespace {

constexpr int count = 6;

// The formulas of tests/reference/optimizers.py; dyadic fractions, exact in float.
double start(int i) { return ((5 * i) % 11 - 5) / 4.0; }
double gradient(int step, int i) { return ((7 * i + 13 * step) % 17 - 8) / 8.0; }

template <class T>
Tensor parameter(int begin = 0, int end = count) {
  std::vector<T> values;
  for (int i = begin; i < end; ++i) values.push_back(static_cast<T>(start(i)));
  Tensor p = Tensor::from(values, {end - begin});
  p.set_requires_grad(true);
  return p;
}

template <class T>
void give_gradient(Tensor p, int step, int begin = 0) {
  std::vector<T> values;
  for (int i = 0; i < p.count(); ++i) values.push_back(static_cast<T>(gradient(step, begin + i)));
  p.set_grad(Tensor::from(values, p.shape()));
}

std::unique_ptr<Optimizer> make(const reference::OptimizerCase& c,
                                std::vector<NamedTensor> parameters) {
  const std::string kind = c.kind;
  if (kind == "sgd")
    return make_sgd(std::move(parameters),
                    {c.lr, c.momentum, c.dampening, c.weight_decay, c.nesterov});
  const AdamOptions options{c.lr, c.beta1, c.beta2, c.eps, c.weight_decay};
  if (kind == "adamw") return make_adamw(std::move(parameters), options);
  REQUIRE(kind == "adam");
  return make_adam(std::move(parameters), options);
}

// Largest difference, relative to `expected` where that is above one.
template <class T>
double error(std::span<const T> found, const double* expected) {
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double e = std::abs(double(found[i]) - expected[i]);
    worst = std::max(worst, e / std::max(1.0, std::abs(expected[i])));
    if (std::isnan(e)) return e;
  }
  return worst;
}

std::string text_of(const reference::OptimizerCase& c) {
  return fmt::format("{} lr {} momentum {} dampening {} decay {} nesterov {} betas {} {} eps {}",
                     c.kind, c.lr, c.momentum, c.dampening, c.weight_decay, c.nesterov, c.beta1,
                     c.beta2, c.eps);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE_TEMPLATE("optimisers do what PyTorch's do", T, float, double) {
    const double tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-14;
    for (const auto& c : reference::optimizer_cases) {
      CAPTURE(text_of(c));
      // Two parameters, so that one pass over several is what is tested.
      Tensor p = parameter<T>(0, 4), q = parameter<T>(4, count);
      const auto optimizer = make(c, {{"p", p}, {"q", q}});
      int row = 0;
      for (int step = 1; step <= 12; ++step) {
        give_gradient<T>(p, step, 0);
        give_gradient<T>(q, step, 4);
        optimizer->step();
        if (step != reference::optimizer_kept[row]) continue;
        const double* expected = std::is_same_v<T, float> ? c.in_float[row] : c.in_double[row];
        CAPTURE(step);
        CHECK(error(p.data<T>(), expected) <= tolerance);
        CHECK(error(q.data<T>(), expected + 4) <= tolerance);
        ++row;
      }
      CHECK(row == 4);
    }
  }

  TEST_CASE("a restored optimiser goes on bit for bit") {
    for (const auto& c : reference::optimizer_cases) {
      CAPTURE(text_of(c));
      Tensor p = parameter<float>();
      const auto whole = make(c, {{"p", p}});
      std::vector<NamedTensor> saved;
      Tensor middle;
      for (int step = 1; step <= 12; ++step) {
        give_gradient<float>(p, step);
        whole->set_lr(c.lr / step);
        whole->step();
        if (step != 5) continue;
        NoGradGuard no_grad;
        middle = clone(p);
        for (const auto& [name, tensor] : whole->state_dict())
          saved.push_back({name, clone(tensor)});
      }
      Tensor q = middle;
      q.set_requires_grad(true);
      const auto resumed = make(c, {{"p", q}});
      resumed->load_state_dict(saved);
      CHECK(resumed->lr() == c.lr / 5);
      for (int step = 6; step <= 12; ++step) {
        give_gradient<float>(q, step);
        resumed->set_lr(c.lr / step);
        resumed->step();
      }
      CHECK(q.to_vector<float>() == p.to_vector<float>());
    }
  }

  TEST_CASE("parameters that are frozen for a while keep their own count, as in PyTorch") {
    Tensor p = parameter<double>(), late = parameter<double>(), alone = parameter<double>();
    const auto both = make_adam({{"p", p}, {"late", late}});
    const auto single = make_adam({{"alone", alone}});
    late.set_requires_grad(false);
    for (int step = 1; step <= 3; ++step) {
      give_gradient<double>(p, step);
      give_gradient<double>(late, step);  // frozen: must be ignored
      both->step();
    }
    CHECK(late.to_vector<double>() == alone.to_vector<double>());
    late.set_requires_grad(true);
    for (int step = 4; step <= 6; ++step) {
      give_gradient<double>(p, step);
      give_gradient<double>(late, step);
      give_gradient<double>(alone, step);
      both->step();
      single->step();
    }
    CHECK(late.to_vector<double>() == alone.to_vector<double>());
    CHECK(late.to_vector<double>() != parameter<double>().to_vector<double>());
    // Without a gradient nothing moves, not even by momentum.
    const auto before = p.to_vector<double>();
    both->clear_gradients();
    CHECK(!p.grad().defined());
    both->step();
    CHECK(p.to_vector<double>() == before);
  }

  TEST_CASE("a step in two halves is the same step, also when other parameters are updated") {
    Tensor p = parameter<float>(), q = parameter<float>();
    Tensor whole_p = parameter<float>(), whole_q = parameter<float>();
    const auto halves = make_adam({{"p", p}, {"q", q}});
    const auto whole = make_adam({{"p", whole_p}, {"q", whole_q}});
    for (int step = 1; step <= 9; ++step) {
      CAPTURE(step);
      halves->set_lr(0.1 / step);
      whole->set_lr(0.1 / step);
      halves->prepare_step();  // before anybody knows what will have a gradient
      halves->clear_gradients();
      whole->clear_gradients();
      for (Tensor x : {p, whole_p}) give_gradient<float>(x, step);
      if (step != 3 && step != 4)  // q falls behind, and then both have passes of their own
        for (Tensor x : {q, whole_q}) give_gradient<float>(x, step + 1);
      halves->apply_step();
      whole->step();
      CHECK(p.to_vector<float>() == whole_p.to_vector<float>());
      CHECK(q.to_vector<float>() == whole_q.to_vector<float>());
    }
    const auto steps = halves->state_dict();
    CHECK(steps[1].tensor.item() == 9);
    CHECK(steps[4].name == "q.step");
    CHECK(steps[4].tensor.item() == 7);
  }

  TEST_CASE("a prepared step is counted, and values are restored into the memory that is there") {
    Tensor p = parameter<float>();
    const auto optimizer = make_adam({{"p", p}});
    const auto run = [&](int step) {
      give_gradient<float>(p, step);
      optimizer->step();
    };
    run(1);
    const auto moment = [&] { return optimizer->state_dict()[2].tensor; };
    const void* const memory = moment().view().data;
    std::vector<NamedTensor> saved;
    for (const auto& [name, tensor] : optimizer->state_dict())
      saved.push_back({name, clone(tensor)});
    run(2);
    optimizer->prepare_step();  // as before recorded work, which applies it by itself
    CHECK(optimizer->state_dict()[1].tensor.item() == 3);
    optimizer->load_state_dict(saved);
    CHECK(moment().view().data == memory);
    CHECK(moment().to_vector<float>() == saved[2].tensor.to_vector<float>());
    optimizer->prepare_step();
    CHECK(optimizer->state_dict()[1].tensor.item() == 2);
  }

  TEST_CASE("an update counts as a change of a tensor that backward needs") {
    Tensor w = parameter<float>();
    const auto optimizer = make_sgd({{"w", w}});
    const Tensor loss = sum(w * w);
    give_gradient<float>(w, 1);
    optimizer->step();
    CHECK_THROWS_AS(loss.backward(), Error);
  }

  TEST_CASE("a strided gradient is read in its own order") {
    Tensor w = Tensor::zeros({2, 3});
    w.set_requires_grad(true);
    const auto optimizer = make_sgd({{"w", w}}, {.lr = 1});
    w.set_grad(transpose(Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2})));
    optimizer->step();
    CHECK(w.to_vector<float>() == std::vector<float>{-1, -3, -5, -2, -4, -6});
  }

  TEST_CASE("a state that does not fit is refused in full, with every fault") {
    Tensor p = parameter<float>(), q = parameter<float>();
    const auto optimizer = make_adam({{"p", p}, {"q", q}});
    give_gradient<float>(p, 1);
    optimizer->step();
    const auto state = optimizer->state_dict();
    std::vector<std::string> names;
    for (const auto& [name, tensor] : state) names.push_back(name);
    CHECK(names == std::vector<std::string>{"lr", "p.step", "p.exp_avg", "p.exp_avg_sq", "q.step"});

    std::vector<NamedTensor> wrong = {
        {"lr", Tensor::full({}, -1, DType::f64)},      {"p.step", Tensor::full({}, 3, DType::i64)},
        {"p.exp_avg", Tensor::zeros({count, 1})},      {"q.step", Tensor::full({}, -2, DType::i64)},
        {"q.momentum_buffer", Tensor::zeros({count})}, {"q.step", Tensor::full({}, 0, DType::i64)},
    };
    CHECK_THROWS_WITH_AS(
        optimizer->load_state_dict(wrong),
        "[optim] the state does not fit the optimiser: q.step is repeated, lr is -1, p.exp_avg is "
        "(6,1) float32, expected (6) float32, p.exp_avg_sq is missing, q.step is -2, "
        "q.momentum_buffer is not expected",
        Error);
    CHECK_THROWS_WITH_AS(
        optimizer->load_state_dict({}),
        "[optim] the state does not fit the optimiser: lr is missing, p.step is missing, q.step is "
        "missing",
        Error);
    // Nothing of the refused states arrived.
    const auto after = optimizer->state_dict();
    REQUIRE(after.size() == state.size());
    for (std::size_t i = 0; i < state.size(); ++i)
      CHECK(after[i].tensor.to_vector<double>() == state[i].tensor.to_vector<double>());
  }

  TEST_CASE("impossible parameters and options are refused") {
    Tensor p = parameter<float>();
    CHECK_THROWS_WITH_AS(make_sgd({}), "[optim] no parameters to optimise", Error);
    CHECK_THROWS_WITH_AS(make_sgd({{"a", Tensor()}}), "[optim] a is undefined", Error);
    CHECK_THROWS_WITH_AS(make_sgd({{"a", Tensor::zeros({2}, DType::i64)}}),
                         "[optim] a is int64; only float32 and float64 can be trained", Error);
    CHECK_THROWS_WITH_AS(make_sgd({{"a", transpose(Tensor::zeros({2, 3}))}}),
                         "[optim] a is strided; a parameter is dense", Error);
    CHECK_THROWS_WITH_AS(make_sgd({{"a", p}, {"b", parameter<double>()}}),
                         "[optim] b is float64 on cpu, but a is float32 on cpu: give each kind its "
                         "own optimiser",
                         Error);
    CHECK_THROWS_WITH_AS(make_sgd({{"a", p}, {"a", parameter<float>()}}),
                         "[optim] two parameters are named a", Error);
    CHECK_THROWS_WITH_AS(make_sgd({{"a", p}, {"b", p}}),
                         "[optim] b was given before under another name", Error);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(make_sgd({{"a", p}}, {.lr = -1}), UsageError);
    CHECK_THROWS_AS(make_sgd({{"a", p}}, {.lr = nan}), UsageError);
    CHECK_THROWS_AS(make_sgd({{"a", p}}, {.momentum = -0.1}), UsageError);
    CHECK_THROWS_AS(make_sgd({{"a", p}}, {.weight_decay = -0.1}), UsageError);
    CHECK_THROWS_AS(make_sgd({{"a", p}}, {.nesterov = true}), UsageError);
    CHECK_THROWS_AS(make_sgd({{"a", p}}, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
                    UsageError);
    CHECK_THROWS_AS(make_adam({{"a", p}}, {.beta1 = 1}), UsageError);
    CHECK_THROWS_AS(make_adam({{"a", p}}, {.beta2 = nan}), UsageError);
    CHECK_THROWS_AS(make_adam({{"a", p}}, {.eps = -1}), UsageError);
    CHECK_THROWS_AS(make_adamw({{"a", p}}, {.weight_decay = -1}), UsageError);
    const auto optimizer = make_adam({{"a", p}});
    CHECK_THROWS_AS(optimizer->set_lr(nan), UsageError);
    CHECK(optimizer->lr() == 1e-3);
  }

  TEST_CASE("gradients are clipped by their joint norm as PyTorch does it") {
    const auto tensors = [] {
      std::vector<NamedTensor> two = {{"first", Tensor::zeros({6}, DType::f64)},
                                      {"second", Tensor::zeros({2, 2}, DType::f64)}};
      for (int which = 0; which < 2; ++which) {
        two[which].tensor.set_requires_grad(true);
        give_gradient<double>(two[which].tensor, which + 1);
      }
      two.push_back({"without", parameter<double>()});
      return two;
    };
    for (const auto& c : reference::clipping_cases) {
      CAPTURE(c.limit);
      const auto parameters = tensors();
      CHECK(std::abs(clip_gradient_norm(parameters, c.limit).item() - c.norm) <= 1e-14);
      CHECK(error(parameters[0].tensor.grad().data<double>(), c.first) <= 1e-14);
      CHECK(error(parameters[1].tensor.grad().data<double>(), c.second) <= 1e-14);
      CHECK(!parameters[2].tensor.grad().defined());
    }
    CHECK(clip_gradient_norm({}, 1).item() == 0);
    CHECK_THROWS_AS(clip_gradient_norm(tensors(), -1), Error);
    auto spoiled = tensors();
    spoiled[0].tensor.set_grad(
        Tensor::full({6}, std::numeric_limits<double>::quiet_NaN(), DType::f64));
    CHECK(std::isnan(clip_gradient_norm(spoiled, 1).item()));
  }

  TEST_CASE("a gradient that two parameters share is scaled once") {
    Tensor a = Tensor::zeros({2}), b = Tensor::zeros({2});
    const Tensor shared = Tensor::from(std::vector<float>{3, 4}, {2});
    a.set_grad(shared);
    b.set_grad(shared);
    const double norm = clip_gradient_norm({{"a", a}, {"b", b}}, std::sqrt(2.0)).item();
    CHECK(std::abs(norm - std::sqrt(50.0)) <= 1e-6);
    for (const Tensor& x : {a, b}) {
      CHECK(std::abs(x.grad().data<float>()[0] - 0.6f) <= 1e-6);
      CHECK(std::abs(x.grad().data<float>()[1] - 0.8f) <= 1e-6);
    }
  }

  TEST_CASE("schedules are PyTorch's") {
    const auto follows = [](const Schedule& schedule, std::span<const double> rates) {
      double worst = 0;
      for (std::size_t i = 0; i < rates.size(); ++i) {
        // Relative, but not to a rate that is itself a rounding error of the first.
        const double size = std::max(rates[i], 1e-8);
        const double e = std::abs(schedule(static_cast<std::int64_t>(i)) - rates[i]) / size;
        if (!(e <= worst)) worst = e;
      }
      return worst;
    };
    using namespace reference;
    CHECK(follows(step_schedule(0.5, 3), step_3_tenth) <= 1e-12);
    CHECK(follows(step_schedule(0.2, 4, 0.5), step_4_half) <= 1e-12);
    CHECK(follows(cosine_schedule(0.1, 10), cosine_10) <= 1e-8);
    CHECK(follows(cosine_schedule(0.3, 7, 0.01), cosine_7_floor) <= 1e-12);
    CHECK(follows(one_cycle_schedule({.max_lr = 0.1, .total = 20}), one_cycle_20) <= 1e-9);
    CHECK(follows(one_cycle_schedule(
                      {.max_lr = 0.4, .total = 17, .warm_up = 0.45, .div = 10, .final_div = 100}),
                  one_cycle_17) <= 1e-12);
    CHECK(follows(one_cycle_schedule({.max_lr = 0.4, .total = 6, .warm_up = 0}),
                  one_cycle_no_warm_up) <= 1e-9);
  }

  TEST_CASE("schedules at their ends, and by name") {
    CHECK(constant_schedule(0.3)(1000000) == 0.3);
    CHECK(cosine_schedule(0.1, 10, 0.01)(11) == 0.01);
    // One update, and a peak at the very first one, where the formulas would divide by zero.
    CHECK(one_cycle_schedule({.max_lr = 0.4, .total = 1, .warm_up = 1})(0) == 0.4);
    CHECK(one_cycle_schedule({.max_lr = 0.4, .total = 10, .warm_up = 0.1})(0) == 0.4);
    CHECK_THROWS_AS(one_cycle_schedule({.max_lr = 0.4, .total = 10})(10), Error);
    CHECK_THROWS_AS(constant_schedule(0.1)(-1), Error);
    CHECK_THROWS_AS(constant_schedule(-0.1), UsageError);
    CHECK_THROWS_AS(step_schedule(0.1, 0), UsageError);
    CHECK_THROWS_AS(step_schedule(0.1, 2, -1), UsageError);
    CHECK_THROWS_AS(cosine_schedule(0.1, 0), UsageError);
    CHECK_THROWS_AS(one_cycle_schedule({.max_lr = 1, .total = 5, .warm_up = 2}), UsageError);
    CHECK_THROWS_AS(one_cycle_schedule({.max_lr = 1, .total = 5, .div = 0}), UsageError);

    CHECK(make_schedule("constant", 0.1, 9)(8) == 0.1);
    CHECK(std::abs(make_schedule("step", 0.1, 9)(8) - 0.001) <= 1e-12);
    CHECK(std::abs(make_schedule("cosine", 0.1, 9)(9)) <= 1e-17);
    CHECK(make_schedule("one-cycle", 0.1, 20)(3) ==
          one_cycle_schedule({.max_lr = 0.1, .total = 20})(3));
    CHECK_THROWS_WITH_AS(make_schedule("sine", 0.1, 9),
                         "unknown schedule \"sine\": constant, step, cosine or one-cycle",
                         UsageError);
  }
}
