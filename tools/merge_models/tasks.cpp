#include "tools/merge_models/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "coding/merging/merge.h"
#include "engine/autograd.h"
#include "kernels/check.h"
#include "models/model_file.h"
#include "tools/runs/run_folder.h"

namespace understudy {
namespace {

// Every model answers the test images of every task: all sets need the images and classes of the
// models.
void check_fits(Model& model, const std::string& file, const Dataset& data) {
  if (data.classes != model.classes())
    throw UsageError(fmt::format("--datasets: {} has {} classes, but {} is {}", data.name,
                                 data.classes, file, model.describe()));
  try {
    const NoGradGuard no_grad;
    const EvaluationGuard evaluation(model);
    model(images_at(data, Tensor::zeros({1}, DType::i64, data.images.device())));
  } catch (const Error& e) {
    throw UsageError(fmt::format("--datasets: the images of {} are none for {}, {}: {}", data.name,
                                 file, model.describe(), e.what()));
  }
}

Dataset part(const Dataset& data, const std::vector<std::int64_t>& order, std::int64_t begin,
             std::int64_t end) {
  return subset(data, {order.begin() + begin, order.begin() + end});
}

}  // namespace

std::vector<std::unique_ptr<Model>> load_models(const std::vector<std::string>& files,
                                                const std::string& architecture, Device device) {
  std::vector<std::unique_ptr<Model>> models;
  std::vector<Module*> modules;
  for (const std::string& file : files) {
    models.push_back(load_model(find_model(file), architecture));
    modules.push_back(models.back().get());
  }
  if (files.size() > 1) check_same_architecture(modules, files);
  for (std::size_t i = 1; i < files.size(); ++i)
    check(models[i]->describe() == models[0]->describe(),
          "models of one architecture are needed, but {} is {} and {} is {}", files[0],
          models[0]->describe(), files[i], models[i]->describe());
  for (const auto& model : models) model->to(device);
  return models;
}

Dataset Task::first_points(std::int64_t count) const {
  std::vector<std::int64_t> order(static_cast<std::size_t>(std::min(count, points.size())));
  std::iota(order.begin(), order.end(), 0);
  return subset(points, order);
}

std::vector<Task> load_tasks(const std::vector<std::string>& names, const std::string& data_dir,
                             Model& model, const std::string& model_file, std::int64_t points,
                             std::int64_t validation, std::int64_t curve, std::uint64_t seed) {
  Generator generator(seed, Stream::sampling);
  std::vector<Task> tasks;
  for (const std::string& name : names) {
    Task task{.data = to(load_dataset(name, data_dir), model.parameters().front().device())};
    check_fits(model, model_file, task.data.test);
    const std::int64_t there = task.data.train.size();
    if (points > there)
      throw UsageError(
          fmt::format("--points: {} of {} are asked for, but it has {}", points, name, there));
    if (points + validation > there)
      throw UsageError(
          fmt::format("--validation: {} images of {} beside {} points are asked for, but it has {}",
                      validation, name, points, there));
    const std::vector<std::int64_t> order = generator.permutation(there);
    task.points = part(task.data.train, order, 0, points);
    task.validation = part(task.data.train, order, points, points + validation);
    if (curve > 0) {
      std::vector<std::int64_t> first(
          static_cast<std::size_t>(std::min(curve, task.data.test.size())));
      std::iota(first.begin(), first.end(), 0);
      task.curve_test = subset(task.data.test, first);
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

Tensor inputs_of(const Dataset& data) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(data.size()));
  std::iota(all.begin(), all.end(), 0);
  return images_at(data, Tensor::from(all, {data.size()}, data.images.device()));
}

}  // namespace understudy
