#include "coding/cost.h"

#include <vector>

#include "coding/simulate.h"
#include "coding/timing.h"
#include "engine/autograd.h"
#include "engine/nn/batch_norm.h"
#include "engine/nn/convolution.h"
#include "engine/nn/linear.h"
#include "engine/nn/observer.h"
#include "engine/random.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// Adds up layers as they run.
class MultiplyAddCounter : public LayerObserver {
 public:
  Tensor observe(Module& module, const Tensor&, const Tensor& output) override {
    if (const auto* layer = dynamic_cast<const Linear*>(&module)) {
      add(output.count() * layer->in(), layer->weight, layer->bias);
    } else if (const auto* layer = dynamic_cast<const Convolution*>(&module)) {
      const HeightWidth window = layer->kernel();
      add(output.count() * window.height * window.width * layer->in(), layer->weight, layer->bias);
    } else if (const auto* layer = dynamic_cast<const BatchNorm*>(&module)) {
      add(0, layer->weight, layer->bias);  // part of the convolution before it
    }
    return output;
  }
  std::int64_t total = 0;
  std::int64_t parameters = 0;  // of the layers that were counted

 private:
  void add(std::int64_t multiply_adds, const Tensor& weight, const Tensor& bias) {
    total += multiply_adds;
    parameters += weight.count() + (bias.defined() ? bias.count() : 0);
  }
};

}  // namespace

double extra_machines_percent(const CodeShape& shape) {
  return 100.0 * shape.r / static_cast<double>(shape.k);
}

double replication_percent(int losses) { return 100.0 * losses; }

std::string cost_in_words(const CodeShape& shape) {
  return fmt::format("{:.1f} % extra machines ({} parit{} for {} quer{}); replication: {:.0f} %",
                     extra_machines_percent(shape), shape.r, shape.r == 1 ? "y" : "ies", shape.k,
                     shape.k == 1 ? "y" : "ies", replication_percent(shape.r));
}

std::optional<std::int64_t> multiply_adds(Module& model, const Shape& input) {
  check(input.rank() == 3, "[multiply_adds] expected an input (H,W,C), got {}", to_string(input));
  NoGradGuard no_grad;
  const EvaluationGuard evaluation(model);
  const std::vector<Tensor> parameters = model.parameters();
  const Device device = parameters.empty() ? Device{} : parameters[0].device();
  const DType dtype = parameters.empty() ? DType::f32 : parameters[0].dtype();
  MultiplyAddCounter counter;
  model(Tensor::zeros({1, input[0], input[1], input[2]}, dtype, device));
  if (counter.parameters != model.parameter_count()) return std::nullopt;
  return counter.total;
}

CodeTiming measure_code(QueryCode& code, const Shape& image, std::int64_t classes,
                        std::int64_t batch, int repeats, Device device) {
  check(image.rank() == 3 && batch >= 1 && repeats >= 1,
        "[measure_code] image {}, batch {}, repeats {}: expected (H,W,C), 1 and 1 at least",
        to_string(image), batch, repeats);
  NoGradGuard no_grad;
  const CodeEvaluationGuard evaluation(code);
  Generator generator(0, Stream::sampling);
  CodeTiming timing;
  timing.batch = batch;
  const auto measure = [&](std::int64_t groups, double& encode_us, double& decode_us) {
    const int k = code.shape().k, units = code.shape().units();
    Tensor images = Tensor::empty({groups, k, image[0], image[1], image[2]}, DType::f32, device);
    Tensor outputs = Tensor::empty({groups, units, classes}, DType::f32, device);
    fill_uniform(images, generator, 0, 1);
    fill_normal(outputs, generator, 0, 1);
    std::vector<ErasurePattern> lost;
    for (std::int64_t g = 0; g < groups; ++g) lost.push_back({static_cast<int>(g % k)});
    const Erasures erasures(code.shape(), lost, code.most_losses(), device);
    const double share = 1.0 / static_cast<double>(groups);
    encode_us = share * median_microseconds(device, repeats, [&] {
                  code.systematic() ? code.encode(images) : code.queries(images);
                });
    decode_us =
        share * median_microseconds(device, repeats, [&] { code.decode(outputs, erasures); });
  };
  measure(1, timing.encode_us, timing.decode_us);
  measure(batch, timing.encode_us_in_batch, timing.decode_us_in_batch);
  return timing;
}

}  // namespace understudy
