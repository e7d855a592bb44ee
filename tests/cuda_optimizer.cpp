// The fused optimisers on a GPU against the CPU's bits: many parameters, over several launches, of
// awkward sizes and alignments.
#include "tests/cuda_arrays.h"

#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated.h"
#endif

namespace understudy::testing {
namespace {

// Parameters one after the other in one array, some elements apart.
struct Layers {
  std::vector<std::int64_t> begin, count;
  std::int64_t total = 0;
};

Layers layers_of(int n) {
  // A block updates 4,096.
  constexpr std::int64_t counts[] = {64, 0, 1, 4096, 3, 4097, 128, 4095, 10000, 17};
  Layers layers;
  for (int i = 0; i < n; ++i) {
    // Every third begins where nothing is aligned.
    layers.total = (layers.total + 7) / 4 * 4 + (i % 3 == 2 ? 1 : 0);
    layers.begin.push_back(layers.total);
    layers.count.push_back(i < 20 ? counts[i % 10] : counts[i % 3]);
    layers.total += layers.count.back();
  }
  return layers;
}

// A step's numbers where the backend reads them.
template <class Step>
class StepOnGpu {
 public:
  StepOnGpu() : memory_(gpu_backend().allocate(sizeof(Step))) {}
  ~StepOnGpu() { gpu_backend().release(memory_, sizeof(Step)); }
  StepOnGpu(const StepOnGpu&) = delete;
  StepOnGpu& operator=(const StepOnGpu&) = delete;
  const Step* set(const Step& step) {
    gpu_backend().from_host(memory_, &step, sizeof step);
    return static_cast<const Step*>(memory_);
  }

 private:
  void* memory_;
};

template <class T>
T* element(const View& view, std::int64_t i) {
  return view.as<T>() + i;
}

constexpr int steps = 3;

template <class T>
void check_sgd(const Layers& layers, SgdStep step) {
  const Dims shape{layers.total};
  auto p = Array<T>::uniform(shape, Layout::dense, 1, -1, 1);
  auto g = Array<T>::uniform(shape, Layout::dense, 2, -1, 1);
  Array<T> m(shape);  // poisoned: the first step does not read it
  OnGpu<T> p_there(p), g_there(g), m_there(m);
  StepOnGpu<SgdStep> there;
  const auto slots = [&](const View& parameter, const View& gradient, const View& momentum) {
    std::vector<SgdSlot> all;
    for (std::size_t i = 0; i < layers.begin.size(); ++i) {
      const bool has = step.momentum != 0 && layers.count[i] > 0;
      all.push_back({element<T>(parameter, layers.begin[i]), element<T>(gradient, layers.begin[i]),
                     has ? element<T>(momentum, layers.begin[i]) : nullptr, layers.count[i]});
    }
    return all;
  };
  for (int t = 1; t <= steps; ++t) {
    step.first = t == 1;
    cpu_backend().sgd(dtype_of<T>, slots(p, g, m), &step);
    gpu_backend().sgd(dtype_of<T>, slots(p_there, g_there, m_there), there.set(step));
    CHECK(same_bits(p_there.now(), p));
    CHECK(same_bits(m_there.now(), m));
  }
}

template <class T>
void check_adam(const Layers& layers, AdamStep step) {
  const Dims shape{layers.total};
  auto p = Array<T>::uniform(shape, Layout::dense, 1, -1, 1);
  auto g = Array<T>::uniform(shape, Layout::dense, 2, -1, 1);
  auto m = Array<T>::uniform(shape, Layout::dense, 3, 0, 0);
  auto v = m;
  OnGpu<T> p_there(p), g_there(g), m_there(m), v_there(v);
  StepOnGpu<AdamStep> there;
  const auto slots = [&](const View& parameter, const View& gradient, const View& mean,
                         const View& variance) {
    std::vector<AdamSlot> all;
    for (std::size_t i = 0; i < layers.begin.size(); ++i) {
      const std::int64_t at = layers.begin[i];
      all.push_back({element<T>(parameter, at), element<T>(gradient, at), element<T>(mean, at),
                     element<T>(variance, at), layers.count[i]});
    }
    return all;
  };
  for (int t = 1; t <= steps; ++t) {
    step.correction1 = 1 - std::pow(step.beta1, t);
    step.correction2 = 1 - std::pow(step.beta2, t);
    cpu_backend().adam(dtype_of<T>, slots(p, g, m, v), &step);
    gpu_backend().adam(dtype_of<T>, slots(p_there, g_there, m_there, v_there), there.set(step));
    CHECK(same_bits(p_there.now(), p));
    CHECK(same_bits(m_there.now(), m));
    CHECK(same_bits(v_there.now(), v));
  }
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: SGD has the CPU's bits", T, float, double) {
    if (skipped()) return;
    for (const double momentum : {0.0, 0.9})
      for (const bool nesterov : {false, true}) {
        if (nesterov && momentum == 0) continue;
        INFO(fmt::format("momentum {}, nesterov {}", momentum, nesterov));
        check_sgd<T>(layers_of(20), {.lr = 0.1,
                                     .momentum = momentum,
                                     .dampening = nesterov ? 0 : 0.25,
                                     .weight_decay = 0.01,
                                     .nesterov = nesterov,
                                     .first = true});
      }
  }

  TEST_CASE_TEMPLATE("cuda: Adam has the CPU's bits", T, float, double) {
    if (skipped()) return;
    for (const bool decoupled : {false, true}) {
      CAPTURE(decoupled);
      check_adam<T>(layers_of(20), {.lr = 1e-3,
                                    .beta1 = 0.9,
                                    .beta2 = 0.999,
                                    .eps = 1e-8,
                                    .weight_decay = 0.01,
                                    .decoupled = decoupled});
    }
  }

  TEST_CASE("cuda: an optimiser takes any number of parameters") {
    if (skipped()) return;
    const SgdStep sgd{.lr = 0.1, .momentum = 0.9, .dampening = 0, .weight_decay = 0};
    const AdamStep adam{.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (const int n : {0, 1, 63, 64, 65, 200}) {
      CAPTURE(n);
      check_sgd<float>(layers_of(n), sgd);
      check_adam<float>(layers_of(n), adam);
    }
  }

#ifdef UNDERSTUDY_EMULATED_CUDA
  TEST_CASE("cuda: up to 64 parameters that are not empty are one launch, and none is no launch") {
    OnGpu<float> p(Dims{256}), g(Dims{256});
    StepOnGpu<SgdStep> there;
    const SgdStep* const step = there.set({.lr = 0.1});
    const View parameter = p, gradient = g;
    const auto launches = [&](int n, std::int64_t count) {
      std::vector<SgdSlot> slots;
      for (int i = 0; i < n; ++i)
        slots.push_back({element<float>(parameter, i), element<float>(gradient, i), nullptr,
                         i % 2 == 0 ? count : 0});
      const long before = emulated::counts().launches;
      gpu_backend().sgd(DType::f32, slots, step);
      return emulated::counts().launches - before;
    };
    CHECK(launches(0, 1) == 0);
    CHECK(launches(100, 0) == 0);
    CHECK(launches(1, 1) == 1);
    CHECK(launches(128, 1) == 1);
    CHECK(launches(129, 1) == 2);
  }
#endif
}

}  // namespace understudy::testing
