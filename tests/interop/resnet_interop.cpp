// Our half of the comparison of ResNets with PyTorch (resnet_interop.py runs it). DESCRIPTION is
// ours, such as "resnet18 3-64-128-256-512-10".
//   resnet_interop make DESCRIPTION SEED MODEL
//       a model file of a new network
//   resnet_interop pass MODEL DESCRIPTION BATCH OUT
//       BATCH: "images" (N,H,W,C), "labels" i64 (N); OUT: "logits" in evaluation mode, "loss" of a
//       training pass, "gradient.<parameter>" in PyTorch's order of axes
//   resnet_interop train MODEL DESCRIPTION BATCHES LR OUT
//       BATCHES: "images" (S,N,H,W,C), "labels" (S,N); OUT: "losses" (S), of SGD with momentum 0.9
#include <cstdio>
#include <string>
#include <vector>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "engine/safetensors.h"
#include "kernels/check.h"
#include "models/model_file.h"
#include "models/registry.h"

namespace {

using namespace understudy;

void make(const std::string& description, const std::string& seed, const std::string& file) {
  Generator generator(std::stoull(seed));
  save_model(file, *make_model(description, generator));
}

void pass(const std::string& file, const std::string& description, const std::string& batch_file,
          const std::string& out) {
  const auto model = load_model(file, description);
  const Safetensors batch = read_safetensors(batch_file);
  Safetensors result;
  model->eval();
  {
    NoGradGuard no_grad;
    result.tensors.emplace_back("logits", (*model)(batch.at("images")));
  }
  model->train();
  const Tensor loss = cross_entropy((*model)(batch.at("images")), batch.at("labels"));
  loss.backward();
  result.tensors.emplace_back("loss", loss.detach());
  for (const NamedTensor& named : model->named_parameters()) {
    const Tensor& gradient = named.tensor.grad();
    result.tensors.emplace_back("gradient." + named.name,
                                gradient.rank() == 4 ? permute(gradient, {0, 3, 1, 2}) : gradient);
  }
  write_safetensors(out, result);
}

void train(const std::string& file, const std::string& description, const std::string& batch_file,
           const std::string& lr, const std::string& out) {
  const auto model = load_model(file, description);
  const Safetensors batches = read_safetensors(batch_file);
  const auto optimizer =
      make_sgd(model->named_parameters(), {.lr = std::stod(lr), .momentum = 0.9});
  std::vector<double> losses;
  for (std::int64_t step = 0; step < batches.at("images").size(0); ++step) {
    const Tensor loss = cross_entropy((*model)(select(batches.at("images"), 0, step)),
                                      select(batches.at("labels"), 0, step));
    optimizer->clear_gradients();
    loss.backward();
    optimizer->step();
    losses.push_back(loss.item());
  }
  Safetensors result;
  const auto steps = static_cast<std::int64_t>(losses.size());
  result.tensors.emplace_back("losses", Tensor::from(losses, {steps}));
  write_safetensors(out, result);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> a(argv, argv + argc);
  try {
    if (argc == 5 && a[1] == "make")
      make(a[2], a[3], a[4]);
    else if (argc == 6 && a[1] == "pass")
      pass(a[2], a[3], a[4], a[5]);
    else if (argc == 7 && a[1] == "train")
      train(a[2], a[3], a[4], a[5], a[6]);
    else
      throw understudy::UsageError("usage: resnet_interop make|pass|train ...; see its source");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "resnet_interop: %s\n", error.what());
    return 1;
  }
}
