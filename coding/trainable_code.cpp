#include "coding/trainable_code.h"

#include <cstdint>
#include <span>
#include <utility>

#include "datasets/digest.h"
#include "engine/nn/pytorch_state.h"
#include "kernels/check.h"

namespace understudy {
namespace {

const CodePurpose& checked(const CodePurpose& purpose) {
  validate(purpose.shape);
  if (purpose.shape.r < 1) throw UsageError("a code that is trained needs r >= 1; got r = 0");
  if (purpose.image.rank() != 3 || purpose.image.count() < 1)
    throw UsageError(fmt::format("a code that is trained needs images (H,W,C), got {}",
                                 to_string(purpose.image)));
  if (purpose.classes < 1) throw UsageError("a code that is trained needs at least one class");
  return purpose;
}

}  // namespace

std::string model_checksum(Module& model) {
  std::string all;
  for (const NamedTensor& named : model.state_dict()) {
    const std::vector<float> values = named.tensor.to_vector<float>();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    all += sha256({std::span(bytes, values.size() * sizeof(float))});
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(all.data());
  return sha256({std::span(bytes, all.size())});
}

BaseIdentity identity_of(Model& base) { return {base.describe(), model_checksum(base)}; }

TrainableCode::TrainableCode(CodePurpose purpose)
    : QueryCode(checked(purpose).shape), purpose_(std::move(purpose)) {}

Safetensors TrainableCode::to_safetensors() {
  Safetensors content;
  for (const NamedTensor& named : pytorch_state(*this))
    content.tensors.emplace_back(named.name, named.tensor);
  content.metadata = metadata();
  const auto add = [&](const char* key, std::string value) {
    content.metadata[std::string("understudy.") + key] = std::move(value);
  };
  add("k", std::to_string(purpose_.shape.k));
  add("r", std::to_string(purpose_.shape.r));
  add("height", std::to_string(purpose_.image[0]));
  add("width", std::to_string(purpose_.image[1]));
  add("image_channels", std::to_string(purpose_.image[2]));
  add("classes", std::to_string(purpose_.classes));
  if (!purpose_.base.model.empty()) add("base.model", purpose_.base.model);
  if (!purpose_.base.sha256.empty()) add("base.sha256", purpose_.base.sha256);
  return content;
}

}  // namespace understudy
