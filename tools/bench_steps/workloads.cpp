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

Tensor random_normal(const Shape& shape, Generator& generator) {
  Tensor x = Tensor::empty(shape);
  fill_normal(x, generator, 0, 1);
  return x;
}

Tensor random_labels(const Shape& shape, Generator& generator) {
  std::vector<std::int64_t> labels(static_cast<std::size_t>(shape.count()));
  for (std::int64_t& label : labels) label = static_cast<std::int64_t>(generator.below(10));
  return Tensor::from(labels, shape);
}

// A classifier under cross-entropy and SGD.
struct Training : Workload {
  Training(std::unique_ptr<Model> classifier, const Shape& batch, const SgdOptions& sgd,
           Generator& generator)
      : model(std::move(classifier)),
        optimizer(make_sgd(model->named_parameters(), sgd)),
        images(random_normal(batch, generator)),
        labels(random_labels({batch[0]}, generator)) {}
  double step() override {
    optimizer->clear_gradients();
    const Tensor loss = cross_entropy((*model)(images), labels);
    loss.backward();
    optimizer->step();
    return loss.item();
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
  Inference(std::unique_ptr<Model> classifier, const Shape& batch, Generator& generator)
      : model(std::move(classifier)),
        images(random_normal(batch, generator)),
        logits(Tensor::zeros({batch[0], model->classes()})) {
    model->eval();
  }
  double step() override {
    const NoGradGuard guard;
    logits = (*model)(images);
    return mean(square(logits)).item();
  }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {{"images", images}, {"logits", logits}};
    add_state(all, *model);
    return all;
  }

  std::unique_ptr<Model> model;
  Tensor images, logits;
};

// Exact Gaussian Fisher information of a classifier on some images (coding/merging/fisher.h).
struct Fisher : Workload {
  Fisher(std::unique_ptr<Model> classifier, const Shape& batch, Generator& generator)
      : model(std::move(classifier)), images(random_normal(batch, generator)) {
    for (const NamedTensor& parameter : model->named_parameters())
      fisher.push_back({parameter.name, Tensor::zeros(parameter.tensor.shape())});
  }
  double step() override {
    fisher = diagonal_fisher(*model, images);
    double trace = 0;
    for (const NamedTensor& diagonal : fisher) trace += sum(diagonal.tensor).item();
    return trace;
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

// A learned code over a frozen Base-MLP: k = 2, r = 1, 64 groups a step, each under both losses of
// one answer; squared error, an Adam for each half (Kosaian et al. 2018).
struct CodeTraining : Workload {
  CodeTraining(const std::string& encoder, Generator& generator)
      : base(base_mlp_widths, generator),
        code({.shape = {.k = 2, .r = 1}, .encoder = encoder, .image = {28, 28, 1}, .classes = 10},
             generator),
        trainer(code, base, standard_patterns(code), {.loss = CodeLoss::mse_base}),
        batch{random_normal({64, 2, 28, 28, 1}, generator), random_normal({64, 2, 10}, generator),
              random_labels({64, 2}, generator)} {}
  double step() override { return trainer.step(batch); }
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

std::unique_ptr<Workload> mlp(Generator& generator) {
  return std::make_unique<Training>(std::make_unique<Mlp>(base_mlp_widths, generator),
                                    Shape{64, 784}, SgdOptions{.lr = 0.01}, generator);
}
std::unique_ptr<Workload> mlp_code(Generator& generator) {
  return std::make_unique<CodeTraining>("mlp", generator);
}
std::unique_ptr<Workload> conv_code(Generator& generator) {
  return std::make_unique<CodeTraining>("conv", generator);
}
std::unique_ptr<Workload> resnet(Generator& generator) {
  return std::make_unique<Training>(resnet18(generator), Shape{64, 32, 32, 3},
                                    SgdOptions{.lr = 0.01, .momentum = 0.9}, generator);
}
std::unique_ptr<Workload> resnet_infer(Generator& generator) {
  return std::make_unique<Inference>(resnet18(generator), Shape{64, 32, 32, 3}, generator);
}
std::unique_ptr<Workload> resnet_infer_one(Generator& generator) {
  return std::make_unique<Inference>(resnet18(generator), Shape{1, 32, 32, 3}, generator);
}
std::unique_ptr<Workload> resnet_fisher(Generator& generator) {
  return std::make_unique<Fisher>(resnet18(generator), Shape{32, 32, 32, 3}, generator);
}
std::unique_ptr<Workload> narrow_resnet_fisher(Generator& generator) {
  return std::make_unique<Fisher>(resnet18(generator, 16), Shape{64, 32, 32, 3}, generator);
}

// A new workload is a function above, a line here, and its other half in tools/pytorch_side/workloads.py.
struct Entry {
  const char* name;
  std::unique_ptr<Workload> (*make)(Generator&);
};
constexpr Entry entries[] = {{"mlp", mlp},
                             {"mlp-code", mlp_code},
                             {"conv-code", conv_code},
                             {"resnet18", resnet},
                             {"resnet18-infer-64", resnet_infer},
                             {"resnet18-infer-1", resnet_infer_one},
                             {"resnet18-fisher", resnet_fisher},
                             {"resnet18-w16-fisher", narrow_resnet_fisher}};

}  // namespace

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Workload> make_workload(const std::string& name, Generator& generator) {
  for (const Entry& entry : entries)
    if (name == entry.name) return entry.make(generator);
  throw UsageError(fmt::format("unknown workload \"{}\"", name));
}

}  // namespace understudy
