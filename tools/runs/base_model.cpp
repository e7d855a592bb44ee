#include "tools/runs/base_model.h"

#include <fmt/format.h>

#include "engine/autograd.h"
#include "kernels/check.h"
#include "models/model_file.h"
#include "tools/runs/run_folder.h"

namespace understudy {

std::unique_ptr<Model> load_base_model(const std::filesystem::path& base,
                                       const std::string& architecture, const Dataset& data) {
  if (base.empty())
    throw UsageError(
        "--base is needed: the run folder or safetensors file of a trained model, as "
        "train_classifier --out DIR makes one");
  const std::filesystem::path file = find_model(base);
  const Safetensors content = read_safetensors(file);
  if (content.metadata.contains("understudy.kind"))
    throw UsageError(
        fmt::format("--base {}: is a {}, not a classifier; give the run folder of "
                    "train_classifier",
                    file.string(), content.metadata.at("understudy.kind")));
  std::unique_ptr<Model> model = unpack_model(content, file.string(), architecture);
  if (model->classes() != data.classes)
    throw UsageError(fmt::format("--base {}: has {} classes, {} has {}", file.string(),
                                 model->classes(), data.name, data.classes));
  model->freeze();
  model->eval();
  try {
    const NoGradGuard no_grad;
    (*model)(images_at(data, Tensor::zeros({1}, DType::i64, data.images.device())));
  } catch (const Error& e) {
    throw UsageError(fmt::format("--base {}: {} does not take the images of {}: {}", file.string(),
                                 model->describe(), data.name, e.what()));
  }
  return model;
}

}  // namespace understudy
