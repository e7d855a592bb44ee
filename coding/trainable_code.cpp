#include "coding/trainable_code.h"

#include <charconv>
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

std::int64_t number(const Safetensors& content, const std::string& key) {
  const auto found = content.metadata.find(key);
  check(found != content.metadata.end(),
        "expected the file of a code, but its metadata have no \"{}\"", key);
  const std::string& text = found->second;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= 0,
        "metadata \"{}\" should be a number from 0 to 2147483647, found \"{}\"", key, text);
  return value;
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

CodePurpose purpose_in(const Safetensors& content) {
  CodePurpose purpose;
  purpose.shape.k = static_cast<int>(number(content, "understudy.k"));
  purpose.shape.r = static_cast<int>(number(content, "understudy.r"));
  purpose.image = {number(content, "understudy.height"), number(content, "understudy.width"),
                   number(content, "understudy.image_channels")};
  purpose.classes = number(content, "understudy.classes");
  // No product of sizes overflows within these.
  check(purpose.image[0] < 32768 && purpose.image[1] < 32768 && purpose.image[2] < 32768,
        "images of {}×{}×{} are not those of a code", purpose.image[0], purpose.image[1],
        purpose.image[2]);
  const auto text = [&](const char* key) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? std::string() : found->second;
  };
  purpose.base = {text("understudy.base.model"), text("understudy.base.sha256")};
  return checked(purpose);
}

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
