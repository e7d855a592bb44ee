#include "tools/reproduce/probe.h"

#include <algorithm>
#include <chrono>

#include "coding/simulate.h"
#include "datasets/loader.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/backend.h"
#include "models/registry.h"
#include "tools/reproduce/flag_values.h"
#include "tools/runs/progress.h"

namespace understudy::reproduce {
namespace {

constexpr std::int64_t probe_images = 120;  // for forward passes: whole groups of 2, 3, 4, 5, 6, 8
constexpr double probe_seconds = 0.2;  // for each measurement, or two calls where they are long

}  // namespace

double seconds_per_call(Device device, const std::function<void()>& call) {
  call();
  backend(device).synchronize();
  std::vector<double> times;
  double sum = 0;
  while (times.size() < 2 || sum < probe_seconds) {
    const auto start = std::chrono::steady_clock::now();
    call();
    times.push_back(seconds_since(start, device));
    sum += times.back();
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Speed Probe::speed(const BaseModel& base) {
  const LoadedData& loaded = data(base.dataset);
  const std::unique_ptr<Model> model = untrained(base);
  const auto train = static_cast<double>(loaded.data.train.size());
  const auto batch_size =
      std::min<std::int64_t>(whole_flag(base.flags, "batch-size", 128), loaded.data.train.size());
  const auto validation = static_cast<double>(whole_flag(base.flags, "validation", 0));
  const std::unique_ptr<Optimizer> optimizer =
      text_flag(base.flags, "optimizer") == "sgd"
          ? make_sgd(model->named_parameters(), {.lr = 1e-3, .momentum = 0.9})
          : make_adam(model->named_parameters(), {.lr = 1e-3});
  Loader loader(loaded.data.train, {.batch_size = batch_size});
  const Batch batch = loader.batch(0);
  const double step = seconds_per_call(device_, [&] {
    const Tensor loss = cross_entropy((*model)(batch.images), batch.labels);
    optimizer->clear_gradients();
    loss.backward();
    optimizer->step();
  });
  const double forward = forward_seconds(*model, loaded);
  const auto seen = validation + static_cast<double>(loaded.data.test.size());
  return {loaded.seconds,
          step * (train - validation) / static_cast<double>(batch_size) + forward * seen};
}

const Probe::LoadedData& Probe::data(const std::string& name) {
  if (const auto found = data_.find(name); found != data_.end()) return found->second;
  LoadedData loaded;
  const auto start = std::chrono::steady_clock::now();
  loaded.data = to(load_dataset(name, data_dir_), device_);
  loaded.seconds = seconds_since(start, device_);
  std::vector<std::int64_t> first;
  for (std::int64_t i = 0; i < std::min(probe_images, loaded.data.test.size()); ++i)
    first.push_back(i);
  loaded.few = subset(loaded.data.test, first);
  const Shape& images = loaded.data.train.images.shape();
  loaded.image = {images[1], images[2], images[3]};
  return data_[name] = std::move(loaded);
}

std::unique_ptr<Model> Probe::untrained(const BaseModel& base, std::uint64_t seed) {
  const LoadedData& loaded = data(base.dataset);
  Generator generator(seed, Stream::initialization);
  auto model = make_model({.name = base.model,
                           .input = loaded.image,
                           .classes = loaded.data.train.classes,
                           .hidden = parse_widths(text_flag(base.flags, "hidden")),
                           .width = base.width,
                           .batch_norm = text_flag(base.flags, "no-batch-norm").empty()},
                          generator);
  model->to(device_);
  return model;
}

double Probe::forward_seconds(Model& model, const LoadedData& loaded) {
  return seconds_per_call(device_, [&] { all_outputs(model, loaded.few); }) /
         static_cast<double>(loaded.few.size());
}

}  // namespace understudy::reproduce
