// Models as safetensors files: the parameters under PyTorch's names and in its order of axes, and
// the architecture as text under the metadata key "model".
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "engine/safetensors.h"
#include "models/model.h"

namespace understudy {

// `metadata` goes into the file beside "model" and "format".
Safetensors pack_model(Model& model, std::map<std::string, std::string> metadata = {});
void save_model(const std::filesystem::path& path, Model& model,
                std::map<std::string, std::string> metadata = {});

// The network of a file with its parameters, in float. A file that PyTorch wrote may say nothing of
// the architecture: then `description` must. Error naming `file` when neither does, when they
// disagree, or when the tensors do not fit.
std::unique_ptr<Model> unpack_model(const Safetensors& content, const std::string& file,
                                    const std::string& description = "");
std::unique_ptr<Model> load_model(const std::filesystem::path& path,
                                  const std::string& description = "");

}  // namespace understudy
