#include "tools/reproduce/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "coding/baselines.h"
#include "coding/evaluation.h"
#include "coding/matrix/spline_code.h"
#include "coding/query_codes.h"
#include "coding/training.h"
#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "models/registry.h"
#include "tools/runs/evaluate.h"
#include "tools/runs/interrupt.h"
#include "tools/train_code/choices.h"

namespace understudy::reproduce {
namespace {

constexpr std::int64_t probe_images = 120;  // for forward passes: whole groups of 2, 3, 4, 5, 6, 8
constexpr double probe_seconds = 0.2;  // for each measurement, or two calls where they are long

// The median of a few calls, after one that warms up.
double seconds_per_call(const std::function<void()>& call) {
  call();
  std::vector<double> times;
  double sum = 0;
  while (times.size() < 2 || sum < probe_seconds) {
    const auto start = std::chrono::steady_clock::now();
    call();
    times.push_back(seconds_since(start));
    sum += times.back();
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

std::int64_t whole_flag(const std::vector<Flag>& flags, const std::string& name,
                        std::int64_t otherwise) {
  for (const Flag& flag : flags)
    if (flag.name == name) return std::stoll(flag.value);
  return otherwise;
}

std::string text_flag(const std::vector<Flag>& flags, const std::string& name) {
  for (const Flag& flag : flags)
    if (flag.name == name) return flag.value.empty() ? "true" : flag.value;
  return "";
}

// A data set, and how long it took to load: every run does.
struct LoadedData {
  TrainTest data;
  double seconds = 0;
  Dataset few;  // some test images
  Shape image;  // (H, W, C)
};

class Probe {
 public:
  explicit Probe(std::filesystem::path data_dir) : data_dir_(std::move(data_dir)) {}

  Speed base(const BaseModel& base) {
    const LoadedData& loaded = data(base.dataset);
    const std::unique_ptr<Model> model = untrained(base, loaded);
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
    const double step = seconds_per_call([&] {
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

  Speed trained_code(const Setting& setting) {
    const LoadedData& loaded = data(setting.base.dataset);
    const std::unique_ptr<Model> base = untrained(setting.base, loaded);
    Generator generator(1, Stream::initialization);
    CodeChoices choices;
    choices.code = setting.code;
    choices.k = setting.k;
    choices.r = setting.r;
    if (!setting.encoder.empty()) choices.encoder = setting.encoder;
    choices.loss = setting.loss;
    choices.channels = setting.channels;
    const std::unique_ptr<TrainableCode> code = make_code(choices, loaded.image, *base, generator);
    const std::vector<ErasurePattern> patterns = standard_patterns(*code);
    CodeTrainer trainer(*code, *base, patterns, {.loss = code_loss_named(setting.loss)});

    const std::int64_t asked = whole_flag(setting.flags, "batch-size", 0);
    const std::int64_t images = asked > 0 ? asked : code->groups_per_batch() * setting.k;
    Loader loader(loaded.data.train, {.batch_size = images, .group = setting.k});
    const Batch batch = loader.batch(0);
    const Tensor outputs = Tensor::zeros({images, base->classes()});
    const double step = seconds_per_call([&] {
      trainer.step(as_groups(batch.images, outputs, batch.labels, static_cast<int>(setting.k)));
    });
    const double judged = judging_seconds(*code, *base, loaded);
    const auto train = static_cast<double>(loaded.data.train.size());
    const auto test = static_cast<double>(loaded.data.test.size());
    const auto validation = static_cast<double>(whole_flag(setting.flags, "validation", 5000));
    // At worst every epoch is the best so far, and looks at the test set.
    return {
        loaded.seconds + forward_seconds(*base, loaded) * (train + test),
        step * (train - validation) / static_cast<double>(images) + judged * (validation + test)};
  }

  // Each code in one shape in the middle, times the number of shapes.
  Speed comparison(const Setting& setting) {
    const LoadedData& loaded = data(setting.base.dataset);
    const std::unique_ptr<Model> base = untrained(setting.base, loaded);
    const auto train = static_cast<double>(loaded.data.train.size());
    const auto test = static_cast<double>(loaded.data.test.size());
    const double validation = std::min(5000.0, train / 2);
    const CodeShape shape{static_cast<int>(setting.ks[setting.ks.size() / 2]),
                          static_cast<int>(setting.rs[setting.rs.size() / 2])};
    const auto shapes = static_cast<double>(setting.ks.size() * setting.rs.size());
    const Tensor outputs = all_outputs(*base, loaded.few);
    std::vector<std::int64_t> index;
    for (std::int64_t i = 0; i < loaded.few.size(); ++i) index.push_back(i);
    double seconds = loaded.seconds + forward_seconds(*base, loaded) * (train + test);
    const bool all = setting.codes == std::vector<std::string>{"all"};
    for (const std::string& name : all ? query_code_names() : setting.codes) {
      std::unique_ptr<QueryCode> code;
      try {
        code = make_query_code(name,
                               {.shape = shape, .image = loaded.image, .classes = base->classes()});
      } catch (const UsageError&) {
        continue;  // a shape that this one cannot have; the program leaves it out, too
      }
      const double tuned = seconds_per_call([&] { code->tune(*base, loaded.few, outputs, index); });
      const auto* spline =
          dynamic_cast<const SplineCode*>(code.get());  // no other code looks at images
      const double most = spline ? static_cast<double>(spline->most_tuning_images()) : validation;
      const double looked_at = std::min(most, static_cast<double>(loaded.few.size()));
      seconds += shapes * (tuned / looked_at * std::min(most, validation) +
                           judging_seconds(*code, *base, loaded) * test);
    }
    return {seconds, 0};
  }

 private:
  const LoadedData& data(const std::string& name) {
    if (const auto found = data_.find(name); found != data_.end()) return found->second;
    LoadedData loaded;
    const auto start = std::chrono::steady_clock::now();
    loaded.data = load_dataset(name, data_dir_);
    loaded.seconds = seconds_since(start);
    std::vector<std::int64_t> first;
    for (std::int64_t i = 0; i < std::min(probe_images, loaded.data.test.size()); ++i)
      first.push_back(i);
    loaded.few = subset(loaded.data.test, first);
    const Shape& images = loaded.data.train.images.shape();
    loaded.image = {images[1], images[2], images[3]};
    return data_[name] = std::move(loaded);
  }

  std::unique_ptr<Model> untrained(const BaseModel& base, const LoadedData& loaded) {
    Generator generator(1, Stream::initialization);
    return make_model({.name = base.model,
                       .input = loaded.image,
                       .classes = loaded.data.train.classes,
                       .hidden = parse_widths(text_flag(base.flags, "hidden")),
                       .width = base.width,
                       .batch_norm = text_flag(base.flags, "no-batch-norm").empty()},
                      generator);
  }

  // Of an image.
  double forward_seconds(Model& model, const LoadedData& loaded) {
    return seconds_per_call([&] { all_outputs(model, loaded.few); }) /
           static_cast<double>(loaded.few.size());
  }
  double judging_seconds(QueryCode& code, Model& base, const LoadedData& loaded) {
    const Tensor outputs = all_outputs(base, loaded.few);
    const std::vector<ErasurePattern> patterns = standard_patterns(code);
    return seconds_per_call([&] { evaluate_code(code, base, loaded.few, outputs, patterns); }) /
           static_cast<double>(loaded.few.size());
  }

  std::filesystem::path data_dir_;
  std::map<std::string, LoadedData> data_;
};

}  // namespace

std::map<std::string, Speed> measure_speeds(const Plan& plan, const std::vector<Setting>& settings,
                                            const std::filesystem::path& data_dir,
                                            Progress& progress) {
  cpu::set_num_threads(1);
  // Kinds, each with a way to measure it.
  std::map<std::string, std::function<Speed(Probe&)>> kinds;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const Setting& setting = settings[i];
    const Job &base = plan.jobs[plan.base_of_setting[i]], &job = plan.jobs[plan.of_setting[i]];
    if (base.to_run())
      kinds[base.kind] = [&setting](Probe& probe) { return probe.base(setting.base); };
    if (job.to_run())
      kinds[job.kind] = [&setting](Probe& probe) {
        return setting.compares() ? probe.comparison(setting) : probe.trained_code(setting);
      };
  }
  Probe probe(data_dir);
  std::map<std::string, Speed> speeds;
  progress.begin("measuring", static_cast<std::int64_t>(kinds.size()));
  for (const auto& [kind, measure] : kinds) {
    if (interrupted()) break;
    speeds[kind] = measure(probe);
    progress.update(static_cast<std::int64_t>(speeds.size()), kind);
  }
  progress.end();
  return speeds;
}

}  // namespace understudy::reproduce
