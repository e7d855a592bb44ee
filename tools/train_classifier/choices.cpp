#include "tools/train_classifier/choices.h"

#include <fmt/format.h>

#include "engine/optim/schedule.h"
#include "kernels/check.h"
#include "models/registry.h"
#include "tools/runs/profile_output.h"

namespace understudy {

void add_choices(Options& options, Choices& choices) {
  add_data_options(options, choices.data);
  options.setting("model").one_of(model_names());
  options.add("hidden", &choices.hidden, "widths of the hidden layers; empty: 200,100 for mlp")
      .at_least(1)
      .at_most(1 << 16);
  options
      .add("width", &choices.width,
           "channels of resnet18's first stage, doubled in each further one; 0: its 64")
      .at_least(0)
      .at_most(512);
  options.add("no-batch-norm", &choices.no_batch_norm, "resnet18 without it");
  options.add("optimizer", &choices.optimizer, "how gradients become updates")
      .one_of({"sgd", "adam", "adamw"});
  options.add("momentum", &choices.momentum, "momentum of sgd").at_least(0).below(1);
  options.add("nesterov", &choices.nesterov, "Nesterov's form of sgd's momentum");
  options.add("weight-decay", &choices.weight_decay, "in the gradient; decoupled for adamw")
      .at_least(0);
  options.add("schedule", &choices.schedule, "the learning rate over the run; --lr is its peak")
      .one_of(schedule_names());
  options.add("clip", &choices.clip, "limit of the gradient's norm; 0: none").at_least(0);
  options
      .add("label-smoothing", &choices.label_smoothing,
           "share of the target that is spread evenly over the classes")
      .at_least(0)
      .below(1);
  options.add("init", &choices.init, "start from this run folder or safetensors file");
  options
      .add("validation", &choices.validation,
           "training images set aside to choose the best epoch; 0: the last epoch is the best")
      .at_least(0);
  add_profile_option(options, choices.profile);
}

std::unique_ptr<Optimizer> make_optimizer(const Choices& choices, double lr, Module& model) {
  const bool sgd = choices.optimizer == "sgd";
  if (choices.momentum > 0 && !sgd)
    throw UsageError(
        fmt::format("--momentum {}: only sgd has it, not {}", choices.momentum, choices.optimizer));
  if (choices.nesterov && !(sgd && choices.momentum > 0))
    throw UsageError("--nesterov: expected --optimizer sgd with a --momentum above 0");
  if (sgd)
    return make_sgd(model.named_parameters(), {.lr = lr,
                                               .momentum = choices.momentum,
                                               .weight_decay = choices.weight_decay,
                                               .nesterov = choices.nesterov});
  const AdamOptions adam{.lr = lr, .weight_decay = choices.weight_decay};
  return choices.optimizer == "adamw" ? make_adamw(model.named_parameters(), adam)
                                      : make_adam(model.named_parameters(), adam);
}

}  // namespace understudy
