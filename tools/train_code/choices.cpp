#include "tools/train_code/choices.h"

#include <fmt/format.h>

#include "coding/learned/learned_code.h"
#include "coding/parity/parity_models.h"
#include "engine/optim/schedule.h"
#include "kernels/check.h"
#include "tools/runs/code_values.h"
#include "tools/runs/profile_output.h"

namespace understudy {
namespace {

const char* const learned = "learned";

// The flags of a learned code that differ from their defaults.
std::string flags_of_learned(const CodeChoices& choices) {
  const CodeChoices none;
  if (choices.encoder != none.encoder) return "--encoder " + choices.encoder;
  if (choices.loss != none.loss) return "--loss " + choices.loss;
  if (choices.channels != none.channels) return "--channels " + choices.channels;
  return "";
}

}  // namespace

void add_choices(Options& options, CodeChoices& choices) {
  add_data_options(options, choices.data);
  options.add("base", &choices.base, "the trained model: its run folder or safetensors file");
  options.add("model", &options.common.model,
              "architecture of a --base file that does not say it, e.g. 'mlp 784-200-100-10'");
  options
      .add("code", &choices.code,
           "learned: encoder and decoder; parity-sum and parity-concat: parity models of the base "
           "model's architecture, asked the sum of the inputs or all of them made smaller")
      .one_of({learned, "parity-sum", "parity-concat"});
  options.add("k", &choices.k, "inputs of a group").at_least(1).at_most(most_queries);
  options.add("r", &choices.r, "parity inputs of a group").at_least(1).at_most(most_parities);
  options.add("encoder", &choices.encoder, "of a learned code: what makes the parities")
      .one_of(encoder_names());
  options
      .add("loss", &choices.loss,
           "of a learned code: mse and kl imitate the base model, xent aims at the labels")
      .one_of({"mse", "kl", "xent"});
  options
      .add("channels", &choices.channels,
           "of a learned code: which colour planes are encoded together")
      .one_of({"aligned", "interleaved"});
  options
      .add("batch-size", &options.common.batch_size,
           "images in a step, a multiple of k; 0: as published, 64 groups for k = 2, 32 groups or "
           "160 images beyond")
      .at_least(0)
      .at_most(1 << 20);
  options
      .add("schedule", &choices.schedule,
           "the learning rate over the run; --lr is its peak. Published: constant")
      .one_of(schedule_names());
  options.add("weight-decay", &choices.weight_decay, "L2, in the gradient").at_least(0);
  options
      .add("validation", &choices.validation,
           "training images set aside to choose the best epoch, rounded up to a multiple of k")
      .at_least(1);
  add_profile_option(options, choices.profile);
}

void check_choices(const CommonOptions& common, const CodeChoices& choices) {
  if (choices.base.empty())
    throw UsageError(
        "--base is needed: the run folder or safetensors file of a trained model, as "
        "train_classifier --out DIR makes one");
  if (const std::string flag = flags_of_learned(choices); choices.code != learned && !flag.empty())
    throw UsageError(
        fmt::format("{}: goes with --code {}, not with {}", flag, learned, choices.code));
  if (common.batch_size % choices.k != 0)
    throw UsageError(
        fmt::format("--batch-size {}: is no multiple of --k {}; whole groups are needed",
                    common.batch_size, choices.k));
}

std::unique_ptr<TrainableCode> make_code(const CodeChoices& choices, const Shape& image,
                                         Model& base, Generator& generator) {
  const CodeShape shape{static_cast<int>(choices.k), static_cast<int>(choices.r)};
  if (choices.code != learned)
    return std::make_unique<ParityModels>(
        ParityModelsOptions{
            .shape = shape,
            .input = parity_input(choices.code.substr(std::string("parity-").size())),
            .image = image,
            .classes = base.classes(),
            .base = identity_of(base)},
        generator);
  return std::make_unique<LearnedCode>(
      LearnedCodeOptions{.shape = shape,
                         .encoder = choices.encoder,
                         .channels = channel_layout(choices.channels),
                         .image = image,
                         .classes = base.classes(),
                         .base = identity_of(base)},
      generator);
}

}  // namespace understudy
