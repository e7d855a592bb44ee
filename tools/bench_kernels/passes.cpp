// Kernels that read and write more than they calculate: batch norm, the loss, the optimiser.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/backend.h"
#include "tools/bench_kernels/measurement.h"

namespace understudy::bench {
namespace {

double at(const std::vector<float>& v, std::int64_t i) {
  return static_cast<double>(v[static_cast<std::size_t>(i)]);
}

// ---- batch norm and ReLU in training, on (rows, C) ----

// Mean and 1/√(variance + eps) of every column, in double.
struct Columns {
  std::vector<double> mean, scale;

  Columns(const std::vector<float>& x, std::int64_t C, double eps)
      : mean(static_cast<std::size_t>(C)), scale(static_cast<std::size_t>(C)) {
    const auto rows = static_cast<double>(x.size() / static_cast<std::size_t>(C));
    for (std::size_t i = 0; i < x.size(); ++i)
      mean[i % mean.size()] += static_cast<double>(x[i]) / rows;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double d = static_cast<double>(x[i]) - mean[i % mean.size()];
      scale[i % mean.size()] += d * d / rows;
    }
    for (double& s : scale) s = 1 / std::sqrt(s + eps);
  }
};

struct BatchNorm {
  Tensor x, dy, mean, variance, weight, bias, out, dweight, dbias;

  BatchNorm(std::int64_t rows, std::int64_t C, Device device)
      : x(random({rows, C}, 1, device)),
        dy(random({rows, C}, 2, device)),
        mean(Tensor::empty({C}, DType::f32, device)),
        variance(Tensor::empty({C}, DType::f32, device)),
        weight(random({C}, 3, device)),
        bias(random({C}, 4, device)),
        out(Tensor::full({rows, C}, std::nan(""), DType::f32, device)),
        dweight(Tensor::empty({C}, DType::f32, device)),
        dbias(Tensor::empty({C}, DType::f32, device)) {}

  Normalization norm() const {
    return {mean.view(), variance.view(), weight.view(), bias.view(), 1e-5, true};
  }
  void forward() {
    Backend& kernels = backend(x.device());
    kernels.channel_statistics(mean.mutable_view(), variance.mutable_view(), x.view());
    kernels.batch_norm(out.mutable_view(), x.view(), norm(), nullptr);
  }
  void backward() {
    const View dx = out.mutable_view(), dw = dweight.mutable_view(), db = dbias.mutable_view();
    backend(x.device())
        .batch_norm_backward({.dx = &dx, .dweight = &dw, .dbias = &db}, dy.view(), x.view(),
                             nullptr, norm(), true);
  }
  void check_forward() const {
    const std::vector<float> in = x.to_vector<float>(), w = weight.to_vector<float>(),
                             b = bias.to_vector<float>();
    const std::int64_t C = x.size(1);
    const Columns columns(in, C, 1e-5);
    check_sample(out, 1e-5, [&](std::int64_t i) {
      const auto c = static_cast<std::size_t>(i % C);
      return std::max(
          0.0, (at(in, i) - columns.mean[c]) * columns.scale[c] * at(w, i % C) + at(b, i % C));
    });
  }
  // With g = dy where the ReLU let through and x̂ the normalised x:
  // dx = weight · scale · (g - mean(g) - x̂ · mean(g · x̂)).
  void check_backward() const {
    const std::vector<float> in = x.to_vector<float>(), w = weight.to_vector<float>(),
                             b = bias.to_vector<float>(), up = dy.to_vector<float>();
    const std::int64_t C = x.size(1), rows = x.size(0);
    const Columns columns(in, C, 1e-5);
    const auto normalized = [&](std::int64_t i) {
      const auto c = static_cast<std::size_t>(i % C);
      return (at(in, i) - columns.mean[c]) * columns.scale[c];
    };
    const auto gradient = [&](std::int64_t i) {
      return normalized(i) * at(w, i % C) + at(b, i % C) > 0 ? at(up, i) : 0.0;
    };
    std::vector<double> mean_g(columns.mean.size()), mean_gx(columns.mean.size());
    for (std::int64_t i = 0; i < rows * C; ++i) {
      const auto c = static_cast<std::size_t>(i % C);
      mean_g[c] += gradient(i) / static_cast<double>(rows);
      mean_gx[c] += gradient(i) * normalized(i) / static_cast<double>(rows);
    }
    check_sample(out, 1e-4, [&](std::int64_t i) {
      const auto c = static_cast<std::size_t>(i % C);
      return at(w, i % C) * columns.scale[c] *
             (gradient(i) - mean_g[c] - normalized(i) * mean_gx[c]);
    });
  }
};

Measurement batch_norm(std::int64_t rows, std::int64_t C, bool backward, Device device) {
  Measurement m;
  m.name = fmt::format("batch_norm_relu/R{}_C{}/{}", rows, C, backward ? "backward" : "forward");
  // Forward reads x for its statistics, then again, and writes y; backward reads dy and x for the
  // sums of the columns, then again, and writes dx.
  m.bytes = static_cast<double>((backward ? 5 : 3) * rows * C) * sizeof(float);
  m.prepare = [=]() -> std::function<void()> {
    BatchNorm state(rows, C, device);
    state.forward();
    state.check_forward();
    if (!backward) return [state]() mutable { state.forward(); };
    state.backward();
    state.check_backward();
    return [state]() mutable { state.backward(); };
  };
  return m;
}

// ---- softmax and cross-entropy ----

struct CrossEntropy {
  Tensor x, label, loss, probability, dloss, dx;

  CrossEntropy(std::int64_t rows, std::int64_t C, Device device)
      : x(random({rows, C}, 1, device)),
        loss(Tensor::full({rows}, std::nan(""), DType::f32, device)),
        probability(Tensor::empty({rows, C}, DType::f32, device)),
        dloss(Tensor::ones({rows}, DType::f32, device)),
        dx(Tensor::full({rows, C}, std::nan(""), DType::f32, device)) {
    std::vector<std::int64_t> labels(static_cast<std::size_t>(rows));
    for (std::int64_t i = 0; i < rows; ++i) labels[static_cast<std::size_t>(i)] = i * 7 % C;
    label = Tensor::from(labels, {rows}, device);
  }
  // The loss and its gradient.
  void run() {
    Backend& kernels = backend(x.device());
    kernels.cross_entropy(loss.mutable_view(), probability.mutable_view(), x.view(), label.view());
    kernels.cross_entropy_backward(dx.mutable_view(), dloss.view(), probability.view(),
                                   label.view());
  }
  void check_result() const {
    const std::vector<float> in = x.to_vector<float>();
    const std::int64_t C = x.size(1);
    const auto sum_of_row = [&](std::int64_t row) {
      double sum = 0;
      for (std::int64_t c = 0; c < C; ++c) sum += std::exp(at(in, row * C + c));
      return sum;
    };
    check_sample(loss, 1e-5, [&](std::int64_t row) {
      return std::log(sum_of_row(row)) - at(in, row * C + row * 7 % C);
    });
    check_sample(dx, 1e-5, [&](std::int64_t i) {
      const std::int64_t row = i / C;
      return std::exp(at(in, i)) / sum_of_row(row) - (i % C == row * 7 % C ? 1 : 0);
    });
  }
};

Measurement cross_entropy(std::int64_t rows, std::int64_t C, Device device) {
  Measurement m;
  m.name = fmt::format("softmax_cross_entropy/R{}_C{}/forward_backward", rows, C);
  // Logits in, probabilities out and in again, their gradient out.
  m.bytes = static_cast<double>(4 * rows * C) * sizeof(float);
  m.prepare = [=]() -> std::function<void()> {
    CrossEntropy state(rows, C, device);
    state.run();
    state.check_result();
    return [state]() mutable { state.run(); };
  };
  return m;
}

// ---- Adam ----

constexpr AdamStep adam_step{.lr = 1e-3,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .eps = 1e-8,
                             .weight_decay = 0,
                             .correction1 = 1 - 0.9 * 0.9 * 0.9,
                             .correction2 = 1 - 0.999 * 0.999 * 0.999,
                             .decoupled = false};  // the third step

Measurement adam(std::int64_t count, Device device) {
  Measurement m;
  m.name = fmt::format("adam/P{}", count);
  m.bytes = static_cast<double>(7 * count) * sizeof(float);  // p, m and v in and out, g in
  m.prepare = [=]() -> std::function<void()> {
    Tensor p = random({count}, 1, device), mean = random({count}, 3, device);
    Tensor variance = Tensor::full({count}, 0.5, DType::f32, device);
    const Tensor g = random({count}, 2, device);
    const std::vector<float> p0 = p.to_vector<float>(), m0 = mean.to_vector<float>();
    const Tensor step =
        Tensor::from(std::span(reinterpret_cast<const std::uint8_t*>(&adam_step), sizeof adam_step),
                     {sizeof adam_step}, device);
    const auto call = [p, g, mean, variance, step, count]() mutable {
      const AdamSlot slot{p.mutable_view().data, g.view().data, mean.mutable_view().data,
                          variance.mutable_view().data, count};
      backend(p.device())
          .adam(DType::f32, {&slot, 1}, static_cast<const AdamStep*>(step.view().data));
    };
    std::function<void()> timed = call;
    timed();
    const std::vector<float> gradient = g.to_vector<float>();
    const AdamStep& s = adam_step;
    check_sample(p, 1e-6, [&](std::int64_t i) {
      const double gi = at(gradient, i), first = s.beta1 * at(m0, i) + (1 - s.beta1) * gi;
      const double second = s.beta2 * 0.5 + (1 - s.beta2) * gi * gi;
      const double corrected = std::sqrt(second) / std::sqrt(s.correction2);
      return at(p0, i) - s.lr / s.correction1 * first / (corrected + s.eps);
    });
    return timed;
  };
  return m;
}

}  // namespace

std::vector<Measurement> passes(Device device) {
  std::vector<Measurement> list;
  // ResNet-18's stages, 64 images.
  for (std::int64_t rows = 64 * 32 * 32, C = 64; C <= 512; rows /= 4, C *= 2)
    for (const bool backward : {false, true}) list.push_back(batch_norm(rows, C, backward, device));
  list.push_back(cross_entropy(64, 10, device));
  list.push_back(cross_entropy(4096, 1000, device));
  list.push_back(adam(178110, device));    // Base-MLP
  list.push_back(adam(11173962, device));  // ResNet-18
  return list;
}

}  // namespace understudy::bench
