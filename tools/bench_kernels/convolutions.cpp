// Every convolution of ResNet-18 on 32×32 images and of ConvEncoder on 28×28, in all three passes
// and with every algorithm that applies.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "kernels/backend.h"
#include "tools/bench_kernels/measurement.h"

namespace understudy::bench {
namespace {

enum class Pass { forward, input_gradient, weight_gradient };
constexpr const char* names_of_passes[] = {"forward", "input_gradient", "weight_gradient"};

// N images of S×S pixels and C channels; K filters of R×R pixels.
struct Problem {
  std::int64_t N, S, C, K, R, stride, padding, dilation;

  std::int64_t out() const { return window_count(S, R, stride, padding, dilation); }
  Shape x() const { return {N, S, S, C}; }
  Shape w() const { return {K, R, R, C}; }
  Shape y() const { return {N, out(), out(), K}; }
  Shape result(Pass pass) const {
    return pass == Pass::forward ? y() : pass == Pass::input_gradient ? x() : w();
  }
  double flops() const {
    return 2.0 * static_cast<double>(N * out() * out()) * static_cast<double>(K * R * R * C);
  }
  std::string name() const {
    return fmt::format("N{}_H{}_W{}_C{}_K{}_R{}_s{}_p{}_d{}", N, S, S, C, K, R, stride, padding,
                       dilation);
  }
  bool has(ConvAlgorithm algorithm, Pass pass, Device device) const {
    if (algorithm == ConvAlgorithm::automatic || algorithm == ConvAlgorithm::implicit) return true;
    if (device.kind != DeviceKind::cpu) return false;
    switch (algorithm) {
      case ConvAlgorithm::winograd:
        return R == 3 && stride == 1;
      case ConvAlgorithm::product:
        return R == 1 && stride == 1 && padding == 0;
      case ConvAlgorithm::few_pixels:
        return pass == Pass::forward && N == 1;
      default:
        break;
    }
    return false;
  }
};

// What the three tensors hold on the host, for sums in double.
struct Reference {
  Problem p;
  std::vector<float> x, w, dy;

  static double at(const std::vector<float>& v, std::int64_t i) {
    return static_cast<double>(v[static_cast<std::size_t>(i)]);
  }
  // Σ over the K or C channels of a pixel of `image` and of a filter's pixel, or their places.
  std::int64_t filter(std::int64_t k, std::int64_t r, std::int64_t s) const {
    return ((k * p.R + r) * p.R + s) * p.C;
  }
  // The input row or column that window place r of output o meets; -1 outside of the image.
  std::int64_t input(std::int64_t o, std::int64_t r) const {
    const std::int64_t i = o * p.stride - p.padding + r * p.dilation;
    return i < p.S ? i : -1;
  }
  // The output row or column whose window place r meets input i; -1 where there is none.
  std::int64_t output(std::int64_t i, std::int64_t r) const {
    const std::int64_t o = i + p.padding - r * p.dilation;
    return o >= 0 && o % p.stride == 0 && o / p.stride < p.out() ? o / p.stride : -1;
  }

  double forward(std::int64_t e) const {
    const std::int64_t Q = p.out(), k = e % p.K, q = e / p.K % Q, row = e / p.K / Q % Q;
    const std::int64_t n = e / p.K / Q / Q;
    double sum = 0;
    for (std::int64_t r = 0; r < p.R; ++r)
      for (std::int64_t s = 0; s < p.R; ++s) {
        const std::int64_t h = input(row, r), v = input(q, s);
        if (h < 0 || v < 0) continue;
        for (std::int64_t c = 0; c < p.C; ++c)
          sum += at(x, ((n * p.S + h) * p.S + v) * p.C + c) * at(w, filter(k, r, s) + c);
      }
    return sum;
  }
  double input_gradient(std::int64_t e) const {
    const std::int64_t Q = p.out(), c = e % p.C, v = e / p.C % p.S, h = e / p.C / p.S % p.S;
    const std::int64_t n = e / p.C / p.S / p.S;
    double sum = 0;
    for (std::int64_t r = 0; r < p.R; ++r)
      for (std::int64_t s = 0; s < p.R; ++s) {
        const std::int64_t row = output(h, r), q = output(v, s);
        if (row < 0 || q < 0) continue;
        for (std::int64_t k = 0; k < p.K; ++k)
          sum += at(dy, ((n * Q + row) * Q + q) * p.K + k) * at(w, filter(k, r, s) + c);
      }
    return sum;
  }
  // Of gradient n, which is one of image n modulo N.
  double sample_gradient(std::int64_t n, std::int64_t e) const {
    const std::int64_t Q = p.out(), c = e % p.C, s = e / p.C % p.R, r = e / p.C / p.R % p.R;
    const std::int64_t k = e / p.C / p.R / p.R;
    double sum = 0;
    for (std::int64_t row = 0; row < Q; ++row)
      for (std::int64_t q = 0; q < Q; ++q) {
        const std::int64_t h = input(row, r), v = input(q, s);
        if (h < 0 || v < 0) continue;
        sum += at(dy, ((n * Q + row) * Q + q) * p.K + k) *
               at(x, ((n % p.N * p.S + h) * p.S + v) * p.C + c);
      }
    return sum;
  }
  double weight_gradient(std::int64_t e) const {
    double sum = 0;
    for (std::int64_t n = 0; n < p.N; ++n) sum += sample_gradient(n, e);
    return sum;
  }
  double squared_gradients(std::int64_t gradients, std::int64_t e) const {
    double sum = 0;
    for (std::int64_t n = 0; n < gradients * p.N; ++n) {
      const double one = sample_gradient(n, e);
      sum += one * one;
    }
    return sum;
  }
  double expected(Pass pass, std::int64_t e) const {
    return pass == Pass::forward          ? forward(e)
           : pass == Pass::input_gradient ? input_gradient(e)
                                          : weight_gradient(e);
  }
};

Measurement measurement(const Problem& p, Pass pass, ConvAlgorithm algorithm, Device device) {
  Measurement m;
  m.name = fmt::format("conv/{}/{}/{}", p.name(), names_of_passes[static_cast<int>(pass)],
                       to_string(algorithm));
  m.flops = p.flops();
  m.prepare = [=]() -> std::function<void()> {
    const Conv2d conv{
        .stride = p.stride, .padding = p.padding, .dilation = p.dilation, .algorithm = algorithm};
    const Tensor x = random(p.x(), 1, device), w = random(p.w(), 2, device);
    const Tensor dy = random(p.y(), 3, device);
    Tensor out = Tensor::full(p.result(pass), std::nan(""), DType::f32, device);
    const auto call = [=]() mutable {
      Backend& kernels = backend(out.device());
      if (pass == Pass::forward)
        kernels.conv2d(out.mutable_view(), x.view(), w.view(), conv, {});
      else if (pass == Pass::input_gradient)
        kernels.conv2d_input_gradient(out.mutable_view(), dy.view(), w.view(), conv);
      else
        kernels.conv2d_weight_gradient(out.mutable_view(), dy.view(), x.view(), conv);
    };
    std::function<void()> timed = call;
    timed();
    const Reference reference{p, x.to_vector<float>(), w.to_vector<float>(), dy.to_vector<float>()};
    check_sample(out, bound_of_products(3e-5, device),
                 [&](std::int64_t e) { return reference.expected(pass, e); });
    return timed;
  };
  return m;
}

// For Fisher information, each image with so many gradients (classes).
Measurement squared_gradients(const Problem& p, std::int64_t gradients, ConvAlgorithm algorithm,
                              Device device) {
  Measurement m;
  m.name = fmt::format("conv/{}/D{}_squared_weight_gradients/{}", p.name(), gradients,
                       to_string(algorithm));
  m.flops = static_cast<double>(gradients) * p.flops();
  m.prepare = [=]() -> std::function<void()> {
    const Conv2d conv{
        .stride = p.stride, .padding = p.padding, .dilation = p.dilation, .algorithm = algorithm};
    const Tensor x = random(p.x(), 1, device);
    const Tensor dy = random({gradients * p.N, p.out(), p.out(), p.K}, 3, device);
    Tensor out = Tensor::full(p.w(), std::nan(""), DType::f32, device);
    const std::function<void()> call = [=]() mutable {
      std::vector<ConstView> parts;
      const Tensor one = dy.alias(p.y(), contiguous_strides(p.y()));
      for (std::int64_t d = 0; d < gradients; ++d)
        parts.push_back(dy.alias(p.y(), one.strides(), d * one.count()).view());
      backend(out.device())
          .conv2d_squared_weight_gradients(out.mutable_view(), parts, x.view(), conv);
    };
    call();
    const Reference reference{p, x.to_vector<float>(), {}, dy.to_vector<float>()};
    check_sample(out, bound_of_products(3e-5, device, 4),
                 [&](std::int64_t e) { return reference.squared_gradients(gradients, e); });
    return call;
  };
  return m;
}

// ResNet-18 (width 64) on 32×32 images, each shape once.
std::vector<Problem> resnet18(std::int64_t N) {
  std::vector<Problem> list = {{N, 32, 3, 64, 3, 1, 1, 1}, {N, 32, 64, 64, 3, 1, 1, 1}};
  for (std::int64_t S = 32, C = 64; C < 512; S /= 2, C *= 2) {
    list.push_back({N, S, C, 2 * C, 3, 2, 1, 1});
    list.push_back({N, S, C, 2 * C, 1, 2, 0, 1});
    list.push_back({N, S / 2, 2 * C, 2 * C, 3, 1, 1, 1});
  }
  return list;
}

// ConvEncoder, k = 2 (40 channels), 64 groups of 28×28 images.
std::vector<Problem> conv_encoder() {
  std::vector<Problem> list = {{64, 28, 2, 40, 3, 1, 1, 1}};
  for (const std::int64_t dilation : {1, 2, 4, 8})
    list.push_back({64, 28, 40, 40, 3, 1, dilation, dilation});
  list.push_back({64, 28, 40, 1, 1, 1, 0, 1});
  return list;
}

void add(std::vector<Measurement>& list, const std::vector<Problem>& problems, Device device,
         bool training) {
  for (const Problem& p : problems)
    for (const Pass pass : {Pass::forward, Pass::input_gradient, Pass::weight_gradient}) {
      if (pass != Pass::forward && !training) continue;
      for (const ConvAlgorithm algorithm :
           {ConvAlgorithm::automatic, ConvAlgorithm::implicit, ConvAlgorithm::winograd,
            ConvAlgorithm::few_pixels, ConvAlgorithm::product})
        if (p.has(algorithm, pass, device)) list.push_back(measurement(p, pass, algorithm, device));
    }
}

}  // namespace

std::vector<Measurement> convolutions(Device device) {
  std::vector<Measurement> list;
  add(list, resnet18(64), device, true);
  for (const Problem& p : resnet18(64))
    for (const std::int64_t gradients : {1, 10}) {
      if (gradients > 1 && p.out() > 8) continue;  // where the classes are added up together
      for (const ConvAlgorithm algorithm :
           {ConvAlgorithm::automatic, ConvAlgorithm::implicit, ConvAlgorithm::winograd})
        if (p.has(algorithm, Pass::weight_gradient, device))
          list.push_back(squared_gradients(p, gradients, algorithm, device));
    }
  add(list, resnet18(1), device, false);
  add(list, conv_encoder(), device, true);
  return list;
}

}  // namespace understudy::bench
