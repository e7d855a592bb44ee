#include "models/model_file.h"

#include "engine/nn/pytorch_state.h"
#include "kernels/check.h"
#include "models/registry.h"

namespace understudy {

Safetensors pack_model(Model& model, std::map<std::string, std::string> metadata) {
  Safetensors content;
  for (const NamedTensor& named : pytorch_state(model))
    content.tensors.emplace_back(named.name, named.tensor);
  content.metadata = std::move(metadata);
  content.metadata["model"] = model.describe();
  content.metadata["format"] = "pt";  // what safetensors.torch writes; some readers insist on it
  return content;
}

void save_model(const std::filesystem::path& path, Model& model,
                std::map<std::string, std::string> metadata) {
  write_safetensors(path, pack_model(model, std::move(metadata)));
}

std::unique_ptr<Model> unpack_model(const Safetensors& content, const std::string& file,
                                    const std::string& description) {
  const auto entry = content.metadata.find("model");
  std::string architecture = description;
  if (entry != content.metadata.end()) {
    check(description.empty() || description == entry->second,
          "{}: the file holds the model \"{}\", \"{}\" expected", file, entry->second, description);
    architecture = entry->second;
  }
  check(!architecture.empty(),
        "{}: the metadata has no \"model\", so the architecture is not known; give it (such as "
        "\"mlp 784-200-100-10\") or save the file with that entry",
        file);
  std::vector<NamedTensor> state;
  std::int64_t held = 0;
  for (const auto& [name, tensor] : content.tensors) {
    state.push_back({name, tensor});
    held += tensor.count();
  }
  try {
    const std::int64_t described = described_size(architecture);
    check(described <= held, "\"{}\" has {} values, the file holds {}", architecture, described,
          held);
    std::unique_ptr<Model> model = make_model(architecture);
    load_pytorch_state(*model, std::move(state));
    return model;
  } catch (const Error& error) {
    fail("{}: {}", file, error.what());
  }
}

std::unique_ptr<Model> load_model(const std::filesystem::path& path,
                                  const std::string& description) {
  return unpack_model(read_safetensors(path), path.string(), description);
}

}  // namespace understudy
