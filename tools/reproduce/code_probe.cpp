#include <algorithm>

#include "coding/baselines.h"
#include "coding/evaluation.h"
#include "coding/matrix/spline_code.h"
#include "coding/query_codes.h"
#include "coding/simulate.h"
#include "coding/training.h"
#include "datasets/loader.h"
#include "engine/autograd.h"
#include "kernels/check.h"
#include "tools/reproduce/flag_values.h"
#include "tools/reproduce/probe.h"
#include "tools/train_code/choices.h"

namespace understudy::reproduce {

Speed Probe::trained_code(const CodeSetting& setting) {
  const LoadedData& loaded = data(setting.base.dataset);
  const std::unique_ptr<Model> base = untrained(setting.base);
  Generator generator(1, Stream::initialization);
  CodeChoices choices;
  choices.code = setting.code;
  choices.k = setting.k;
  choices.r = setting.r;
  if (!setting.encoder.empty()) choices.encoder = setting.encoder;
  choices.loss = setting.loss;
  choices.channels = setting.channels;
  const std::unique_ptr<TrainableCode> code = make_code(choices, loaded.image, *base, generator);
  code->to(device_);
  const std::vector<ErasurePattern> patterns = standard_patterns(*code);
  CodeTrainer trainer(*code, *base, patterns, {.loss = code_loss_named(setting.loss)});

  const std::int64_t asked = whole_flag(setting.flags, "batch-size", 0);
  const std::int64_t images = asked > 0 ? asked : code->groups_per_batch() * setting.k;
  Loader loader(loaded.data.train, {.batch_size = images, .group = setting.k});
  const Batch batch = loader.batch(0);
  const Tensor outputs = Tensor::zeros({images, base->classes()}, DType::f32, device_);
  const double step = seconds_per_call(device_, [&] {
    trainer.step(as_groups(batch.images, outputs, batch.labels, static_cast<int>(setting.k)));
  });
  const double judged = judging_seconds(*code, *base, loaded);
  const auto train = static_cast<double>(loaded.data.train.size());
  const auto test = static_cast<double>(loaded.data.test.size());
  const auto validation = static_cast<double>(whole_flag(setting.flags, "validation", 5000));
  // At worst every epoch is the best so far, and looks at the test set.
  return {loaded.seconds + forward_seconds(*base, loaded) * (train + test),
          step * (train - validation) / static_cast<double>(images) + judged * (validation + test)};
}

// Each code in one shape in the middle, times the number of shapes.
Speed Probe::comparison(const CodeSetting& setting) {
  const LoadedData& loaded = data(setting.base.dataset);
  const std::unique_ptr<Model> base = untrained(setting.base);
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
    const double tuned =
        seconds_per_call(device_, [&] { code->tune(*base, loaded.few, outputs, index); });
    const auto* spline =
        dynamic_cast<const SplineCode*>(code.get());  // no other code looks at images
    const double most = spline ? static_cast<double>(spline->most_tuning_images()) : validation;
    const double looked_at = std::min(most, static_cast<double>(loaded.few.size()));
    seconds += shapes * (tuned / looked_at * std::min(most, validation) +
                         judging_seconds(*code, *base, loaded) * test);
  }
  return {seconds, 0};
}

double Probe::judging_seconds(QueryCode& code, Model& base, const LoadedData& loaded) {
  const Tensor outputs = all_outputs(base, loaded.few);
  const std::vector<ErasurePattern> patterns = standard_patterns(code);
  return seconds_per_call(device_,
                          [&] { evaluate_code(code, base, loaded.few, outputs, patterns); }) /
         static_cast<double>(loaded.few.size());
}

}  // namespace understudy::reproduce
