#include "tools/bench_steps/workloads.h"

#include "coding/evaluation.h"
#include "coding/learned/learned_code.h"
#include "coding/merging/fisher.h"
#include "coding/training.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/check.h"
#include "models/mlp.h"
#include "models/resnet.h"

namespace understudy {
namespace {

void add(std::vector<NamedTensor>& tensors, const std::string& prefix, Module& module) {
  for (const NamedTensor& parameter : module.named_parameters())
    tensors.push_back({prefix + "." + parameter.name, parameter.tensor});
}

// Parameters, and what a batch norm in evaluation mode goes by.
void add_state(std::vector<NamedTensor>& tensors, Module& model) {
  add(tensors, "model", model);
  for (const NamedTensor& buffer : model.named_buffers())
    if (is_floating(buffer.tensor.dtype()))
      tensors.push_back({"model." + buffer.name, buffer.tensor});
}

Tensor random_normal(const Shape& shape, Generator& generator, Device device) {
  Tensor x = Tensor::empty(shape);
  fill_normal(x, generator, 0, 1);
  return to(x, device);
}

Tensor random_labels(const Shape& shape, Generator& generator, Device device) {
  std::vector<std::int64_t> labels(static_cast<std::size_t>(shape.count()));
  for (std::int64_t& label : labels) label = static_cast<std::int64_t>(generator.below(10));
  return Tensor::from(labels, shape, device);
}

std::unique_ptr<Model> on_device(std::unique_ptr<Model> model, Device device) {
  model->to(device);
  return model;
}

// A classifier under cross-entropy and SGD.
struct Training : Workload {
  Training(std::unique_ptr<Model> classifier, const Shape& batch, const SgdOptions& sgd,
           Generator& generator, Device device)
      : model(on_device(std::move(classifier), device)),
        optimizer(make_sgd(model->named_parameters(), sgd)),
        images(random_normal(batch, generator, device)),
        labels(random_labels({batch[0]}, generator, device)) {}
  void prepare() override { optimizer->prepare_step(); }
  void work() override {
    optimizer->clear_gradients();
    const Tensor loss = cross_entropy((*model)(images), labels);
    loss.backward();
    optimizer->apply_step();
    result_ = loss.detach();
  }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {{"images", images}, {"labels", labels}};
    add(all, "model", *model);
    return all;
  }

  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  Tensor images, labels;
};

// A classifier in evaluation mode.
struct Inference : Workload {
  Inference(std::unique_ptr<Model> classifier, const Shape& batch, Generator& generator,
            Device device)
      : model(on_device(std::move(classifier), device)),
        images(random_normal(batch, generator, device)),
        logits(Tensor::zeros({batch[0], model->classes()}, DType::f32, device)) {
    model->eval();
  }
  void work() override {
    const NoGradGuard guard;
    logits = (*model)(images);
    result_ = mean(square(logits));
  }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {{"images", images}, {"logits", logits}};
    add_state(all, *model);
    return all;
  }

  std::unique_ptr<Model> model;
  Tensor images, logits;
};

// Exact Gaussian Fisher information of a classifier on some images (coding/merging/fisher.h), which
// brings its seeds to the device in each step.
struct Fisher : Workload {
  Fisher(std::unique_ptr<Model> classifier, const Shape& batch, Generator& generator, Device device)
      : model(on_device(std::move(classifier), device)),
        images(random_normal(batch, generator, device)) {
    for (const NamedTensor& parameter : model->named_parameters())
      fisher.push_back(
          {parameter.name, Tensor::zeros(parameter.tensor.shape(), DType::f32, device)});
  }
  bool can_be_recorded() const override { return false; }
  void work() override {
    fisher = diagonal_fisher(*model, images);
    const NoGradGuard guard;
    Tensor trace = Tensor::zeros({}, DType::f64, images.device());
    for (const NamedTensor& diagonal : fisher)
      trace = trace + cast(sum(diagonal.tensor), DType::f64);
    result_ = trace;
  }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {{"images", images}};
    add_state(all, *model);
    for (const NamedTensor& diagonal : fisher)
      all.push_back({"fisher." + diagonal.name, diagonal.tensor});
    return all;
  }

  std::unique_ptr<Model> model;
  Tensor images;
  std::vector<NamedTensor> fisher;
};

// On its device before the optimisers of a CodeTrainer see the parameters.
template <class Network>
Network& moved(Network& network, Device device) {
  network.to(device);
  return network;
}

// A learned code over a frozen Base-MLP: k = 2, r = 1, 64 groups a step, each under both losses of
// one answer; squared error, an Adam for each half (Kosaian et al. 2018).
struct CodeTraining : Workload {
  CodeTraining(const std::string& encoder, Generator& generator, Device device)
      : base(base_mlp_widths, generator),
        code({.shape = {.k = 2, .r = 1}, .encoder = encoder, .image = {28, 28, 1}, .classes = 10},
             generator),
        trainer(moved(code, device), moved(base, device), standard_patterns(code),
                {.loss = CodeLoss::mse_base}),
        batch{random_normal({64, 2, 28, 28, 1}, generator, device),
              random_normal({64, 2, 10}, generator, device),
              random_labels({64, 2}, generator, device)} {}
  void prepare() override { trainer.prepare_step(); }
  void work() override {
    const Tensor loss = trainer.loss(batch);
    trainer.update(loss);
    result_ = loss.detach();
  }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {
        {"groups", batch.groups}, {"data_outputs", batch.data_outputs}, {"labels", batch.labels}};
    add(all, "base", base);
    add(all, "code", code);
    return all;
  }

  Mlp base;
  LearnedCode code;
  CodeTrainer trainer;
  GroupBatch batch;
};

std::unique_ptr<Model> resnet18(Generator& generator, std::int64_t width = 64) {
  return std::make_unique<ResNet18>(resnet18_widths({32, 32, 3}, width, 10), true, generator);
}

std::unique_ptr<Workload> mlp(Generator& generator, Device device) {
  return std::make_unique<Training>(std::make_unique<Mlp>(base_mlp_widths, generator),
                                    Shape{64, 784}, SgdOptions{.lr = 0.01}, generator, device);
}
std::unique_ptr<Workload> mlp_code(Generator& generator, Device device) {
  return std::make_unique<CodeTraining>("mlp", generator, device);
}
std::unique_ptr<Workload> conv_code(Generator& generator, Device device) {
  return std::make_unique<CodeTraining>("conv", generator, device);
}
template <std::int64_t images>
std::unique_ptr<Workload> resnet(Generator& generator, Device device) {
  return std::make_unique<Training>(resnet18(generator), Shape{images, 32, 32, 3},
                                    SgdOptions{.lr = 0.01, .momentum = 0.9}, generator, device);
}
template <std::int64_t images>
std::unique_ptr<Workload> resnet_infer(Generator& generator, Device device) {
  return std::make_unique<Inference>(resnet18(generator), Shape{images, 32, 32, 3}, generator,
                                     device);
}
template <std::int64_t images, std::int64_t width>
std::unique_ptr<Workload> resnet_fisher(Generator& generator, Device device) {
  return std::make_unique<Fisher>(resnet18(generator, width), Shape{images, 32, 32, 3}, generator,
                                  device);
}

// A new workload is a function above, a line here, and its other half in
// tools/pytorch_side/workloads.py.
struct Entry {
  const char* name;
  std::unique_ptr<Workload> (*make)(Generator&, Device);
};
constexpr Entry entries[] = {{"mlp", mlp},
                             {"mlp-code", mlp_code},
                             {"conv-code", conv_code},
                             {"resnet18", resnet<64>},
                             {"resnet18-512", resnet<512>},
                             {"resnet18-infer-64", resnet_infer<64>},
                             {"resnet18-infer-1", resnet_infer<1>},
                             {"resnet18-fisher", resnet_fisher<32, 64>},
                             {"resnet18-w16-fisher", resnet_fisher<64, 16>}};

}  // namespace

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Workload> make_workload(const std::string& name, Generator& generator,
                                        Device device) {
  for (const Entry& entry : entries)
    if (name == entry.name) return entry.make(generator, device);
  throw UsageError(fmt::format("unknown workload \"{}\"", name));
}

}  // namespace understudy
