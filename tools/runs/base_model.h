// The trained model that a code protects, as --base names it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "datasets/dataset.h"
#include "models/model.h"

namespace understudy {

// From a run folder of train_classifier or a safetensors file; `architecture` is what --model says,
// for a file that does not. Frozen, in evaluation mode. UsageError naming --base when it is missing,
// is no classifier, or does not take the images or have the classes of `data`.
std::unique_ptr<Model> load_base_model(const std::filesystem::path& base,
                                       const std::string& architecture, const Dataset& data);

}  // namespace understudy
