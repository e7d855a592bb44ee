// The models of a merge and the data of their tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "engine/random.h"
#include "models/model.h"

namespace understudy {

// From run folders or safetensors files; `architecture` for those that do not say it. Error that
// names the files and the tensors when they are not of one architecture.
std::vector<std::unique_ptr<Model>> load_models(const std::vector<std::string>& files,
                                                const std::string& architecture,
                                                Device device = {});

// One task's images: the test set, and what a method may look at. All on the models' device.
struct Task {
  TrainTest data;
  Dataset points;      // training images in the order in which they were drawn
  Dataset validation;  // other training images
  Dataset curve_test;  // the first test images, for scoring while a network is distilled

  Dataset first_points(std::int64_t count) const;
};
// `points` and `validation` training images are drawn without replacement. UsageError naming the
// flag when a set has too few, or does not fit the models.
std::vector<Task> load_tasks(const std::vector<std::string>& names, const std::string& data_dir,
                             Model& model, const std::string& model_file, std::int64_t points,
                             std::int64_t validation, std::int64_t curve, std::uint64_t seed);

// As a network takes them.
Tensor inputs_of(const Dataset& data);

}  // namespace understudy
