// What codes add to serving and training: encode, decode, and the Fisher information of a merge.
#include <fmt/ranges.h>

#include <memory>
#include <utility>

#include "coding/cost.h"
#include "coding/learned/learned_code.h"
#include "coding/merging/decode.h"
#include "coding/merging/fisher.h"
#include "coding/simulate.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "kernels/backend.h"
#include "models/mlp.h"
#include "models/registry.h"
#include "tools/bench_kernels/measurement.h"

namespace understudy::bench {
namespace {

constexpr std::int64_t groups = 64, classes = 10;
constexpr CodeShape code_shape{.k = 2, .r = 1};
const Shape image{28, 28, 1};

Tensor in_double(const Tensor& x) {
  return Tensor::empty(x.shape(), DType::f64, x.device()).copy_(x);
}

std::unique_ptr<LearnedCode> make_code(const std::string& encoder, Device device) {
  Generator generator(1);
  auto code = std::make_unique<LearnedCode>(
      LearnedCodeOptions{
          .shape = code_shape, .encoder = encoder, .image = image, .classes = classes},
      generator);
  code->Module::to(device);
  return code;
}

// `run(code, input)` in float, timed; and once by the same networks in double, to compare.
template <class Run>
std::function<void()> prepare_code(const std::string& encoder, const Shape& shape, Device device,
                                   Run run) {
  const std::shared_ptr<LearnedCode> code = make_code(encoder, device);
  const std::shared_ptr<LearnedCode> twin = make_code(encoder, device);
  twin->Module::to(DType::f64);
  const Tensor input = random(shape, 2, device);
  const auto call = [code, input, run] {
    const NoGradGuard no_grad;
    return run(*code, input);
  };
  const NoGradGuard no_grad;
  const std::vector<double> expected = run(*twin, in_double(input)).template to_vector<double>();
  check_sample(call(), bound_of_products(1e-4, device, 8),
               [&](std::int64_t i) { return expected[static_cast<std::size_t>(i)]; });
  return [call] { call(); };
}

Measurement encode(const std::string& encoder, Device device) {
  Measurement m;
  m.name = fmt::format("encode/{}_k2_r1_28x28/G{}", encoder, groups);
  const std::int64_t multiply_adds = make_code(encoder, {})->encode_multiply_adds(image);
  m.flops = 2.0 * static_cast<double>(groups * multiply_adds);
  m.prepare = [=] {
    return prepare_code(encoder, {groups, code_shape.k, image[0], image[1], image[2]}, device,
                        [](LearnedCode& code, const Tensor& x) { return code.encode(x); });
  };
  return m;
}

// The first data unit's answer is missing.
Measurement decode(Device device) {
  Measurement m;
  m.name = fmt::format("decode/mlp_k2_r1_C{}/G{}", classes, groups);
  const std::int64_t multiply_adds = make_code("mlp", {})->decode_multiply_adds(classes);
  m.flops = 2.0 * static_cast<double>(groups * multiply_adds);
  m.prepare = [=] {
    const Erasures erasures(code_shape, std::vector<ErasurePattern>(groups, ErasurePattern{0}), 1,
                            device);
    return prepare_code("mlp", {groups, code_shape.units(), classes}, device,
                        [erasures](LearnedCode& code, const Tensor& outputs) {
                          return code.decode(outputs, erasures);
                        });
  };
  return m;
}

// From the answer of a coded model and of the one model that is not late.
Measurement decode_models(std::int64_t rows, Device device) {
  Measurement m;
  m.name = fmt::format("decode_model/n2_R{}_C{}", rows, classes);
  m.bytes = static_cast<double>(3 * rows * classes) * sizeof(float);
  m.prepare = [=]() -> std::function<void()> {
    const Tensor coded = random({rows, classes}, 1, device),
                 known = random({rows, classes}, 2, device);
    const auto call = [=] { return decode_model(coded, {Tensor(), known}, {0.5, 0.5}, 0); };
    const std::vector<float> c = coded.to_vector<float>(), k = known.to_vector<float>();
    check_sample(call(), 1e-6, [&](std::int64_t i) {
      const auto at = static_cast<std::size_t>(i);
      return (static_cast<double>(c[at]) - 0.5 * static_cast<double>(k[at])) / 0.5;
    });
    return [call] { call(); };
  };
  return m;
}

// Σ over samples and classes of the squared gradient of that output, one sample at a time.
std::vector<double> fisher_by_definition(Module& model, const Tensor& inputs) {
  model.eval();
  std::vector<Tensor> parameters = model.parameters();
  std::vector<double> sums(static_cast<std::size_t>(model.parameter_count()));
  for (std::int64_t i = 0; i < inputs.size(0); ++i)
    for (std::int64_t c = 0; c < classes; ++c) {
      std::vector<double> one(static_cast<std::size_t>(classes));
      one[static_cast<std::size_t>(c)] = 1;
      model(slice(inputs, 0, i, i + 1)).backward(Tensor::from(one, {1, classes}, inputs.device()));
      std::size_t at = 0;
      for (Tensor& parameter : parameters) {
        for (const double g : parameter.grad().to_vector<double>()) sums[at++] += g * g;
        parameter.clear_grad();
      }
    }
  for (double& sum : sums) sum /= static_cast<double>(inputs.size(0));
  return sums;
}

// `flops` a point.
Measurement fisher(const std::string& name, const std::string& network, const Shape& point,
                   std::int64_t points, double flops, Device device) {
  Measurement m;
  m.name = fmt::format("fisher/{}/P{}", name, points);
  m.flops = static_cast<double>(points) * flops;
  m.prepare = [=]() -> std::function<void()> {
    Generator generator(1);
    const std::shared_ptr<Model> model = make_model(network, generator);
    model->to(device);
    const std::unique_ptr<Model> twin = make_model(network, generator);
    twin->load_state_dict(model->state_dict());
    twin->to(DType::f64);
    twin->to(device);
    std::vector<std::int64_t> shape{points};
    for (int axis = 0; axis < point.rank(); ++axis) shape.push_back(point[axis]);
    const Tensor inputs = random(Shape(shape), 2, device);
    const auto call = [model, inputs] { return diagonal_fisher(*model, inputs); };
    const std::vector<double> expected = fisher_by_definition(*twin, in_double(inputs));
    std::int64_t before = 0;
    for (const NamedTensor& f : call()) {
      check_sample(f.tensor, bound_of_products(1e-4, device, 40),
                   [&](std::int64_t i) { return expected[static_cast<std::size_t>(before + i)]; });
      before += f.tensor.count();
    }
    return [call] { call(); };
  };
  return m;
}

// One forward pass and one matrix product of squares, and for each class a backward pass that stops
// before the inputs.
Measurement mlp_fisher(std::int64_t points, Device device) {
  double weights = 0, after_first = 0;
  for (std::size_t i = 0; i + 1 < base_mlp_widths.size(); ++i) {
    const auto layer = static_cast<double>(base_mlp_widths[i] * base_mlp_widths[i + 1]);
    weights += layer;
    if (i > 0) after_first += layer;
  }
  return fisher("base_mlp", fmt::format("mlp {}", fmt::join(base_mlp_widths, "-")),
                {base_mlp_widths.front()}, points, 2 * (2 * weights + classes * after_first),
                device);
}

// One forward pass; for each class a backward pass, that stops before the images, and as many
// multiply-adds again for the squares.
Measurement resnet_fisher(std::int64_t points, Device device) {
  const std::string network = "resnet18 3-16-32-64-128-10";
  const Shape picture{32, 32, 3};
  const double all = static_cast<double>(*multiply_adds(*make_model(network), picture));
  const double stem = 32.0 * 32 * 16 * 9 * 3;
  return fisher("resnet18_w16", network, picture, points, 2 * (all + classes * (2 * all - stem)),
                device);
}

}  // namespace

std::vector<Measurement> codes(Device device) {
  std::vector<Measurement> list;
  for (const std::string& encoder : encoder_names()) list.push_back(encode(encoder, device));
  list.push_back(decode(device));
  list.push_back(decode_models(4096, device));
  list.push_back(mlp_fisher(256, device));
  list.push_back(resnet_fisher(16, device));
  return list;
}

}  // namespace understudy::bench
