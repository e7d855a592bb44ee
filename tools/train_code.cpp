// Learns a code over a trained model ("Learning a Code", Kosaian, Rashmi and Venkataraman 2018,
// arXiv 1806.01259): an encoder that makes r parity inputs of k inputs, and a decoder that
// reconstructs the answer of a worker that does not answer, in the order in which the data flow:
// groups of images, encoder, base model, missing answers, decoder, loss, autograd, optimisers.
//
//   build/bin/train_classifier --dataset mnist --epochs 8 --out runs/base
//   build/bin/train_code --base runs/base --dataset mnist --k 2 --encoder mlp --loss mse --epochs
//   16
//
// ends with a line like
//
//   test recovery-accuracy 97.10 %

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

// In the order of the data flow.
// clang-format off
#include "datasets/dataset.h"
#include "datasets/digest.h"
#include "datasets/loader.h"
#include "datasets/prefetch.h"
#include "models/model_file.h"
#include "coding/simulate.h"
#include "coding/learned/learned_code.h"
#include "coding/learned/training.h"
#include "coding/evaluation.h"
#include "engine/ops.h"
#include "engine/checkpoint.h"
// clang-format on
#include "kernels/check.h"
#include "tools/runs/data.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/options.h"
#include "tools/runs/profile_output.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"
#include "tools/train_code/result.h"
#include "tools/train_code/samples.h"

namespace understudy {
namespace {

// The flags of this program beside the common ones.
struct Choices {
  DataChoices data;
  std::filesystem::path base;
  std::int64_t k = 2, r = 1;
  std::string encoder = "mlp";
  std::string loss = "mse";
  std::string channels = "aligned";
  double weight_decay = 1e-5;
  std::int64_t validation = 5000;
  std::filesystem::path profile;
};

void add_choices(Options& options, Choices& choices) {
  add_data_options(options, choices.data);
  options.add("base", &choices.base, "the trained model: its run folder or safetensors file");
  options.add("model", &options.common.model,
              "architecture of a --base file that does not say it, e.g. 'mlp 784-200-100-10'");
  options.add("k", &choices.k, "inputs of a group").at_least(1).at_most(32);
  options.add("r", &choices.r, "parity inputs of a group").at_least(1).at_most(8);
  options.add("encoder", &choices.encoder, "network that makes the parities")
      .one_of(encoder_names());
  options.add("loss", &choices.loss, "mse and kl imitate the base model, xent aims at the labels")
      .one_of({"mse", "kl", "xent"});
  options.add("channels", &choices.channels, "which colour planes are encoded together")
      .one_of({"aligned", "interleaved"});
  options
      .add("batch-size", &options.common.batch_size,
           "images in a step, a multiple of k; 0: as published, 64 groups for k = 2, 160 images "
           "beyond")
      .at_least(0)
      .at_most(1 << 20);
  options.add("weight-decay", &choices.weight_decay, "L2, in the gradient").at_least(0);
  options
      .add("validation", &choices.validation,
           "training images set aside to choose the best epoch, rounded up to a multiple of k")
      .at_least(1);
  add_profile_option(options, choices.profile);
}

// What a resumed run needs beside parameters, optimisers and position to go on as if it had never
// stopped: the sums of the epoch under way, and the test numbers of the epoch that validation
// chose.
struct Tally {
  double loss = 0, steps = 0;  // of this epoch
  double best_overall = -1;    // validation
  double best_overall_epoch = 0;
  double seconds = 0;
  std::map<std::string, double> test;

  std::map<std::string, double> numbers() const {
    std::map<std::string, double> all = {{"loss", loss},
                                         {"steps", steps},
                                         {"best_overall", best_overall},
                                         {"best_overall_epoch", best_overall_epoch},
                                         {"seconds", seconds}};
    for (const auto& [name, value] : test) all["test/" + name] = value;
    return all;
  }
  static Tally from(const std::map<std::string, double>& all) {
    Tally tally{all.at("loss"),         all.at("steps"),
                all.at("best_overall"), all.at("best_overall_epoch"),
                all.at("seconds"),      {}};
    for (const auto& [name, value] : all)
      if (name.starts_with("test/")) tally.test[name.substr(5)] = value;
    return tally;
  }
};

// So that a resumed run notices another base model under the same path.
std::string checksum_of(Module& model) {
  std::string all;
  for (const NamedTensor& named : model.state_dict()) {
    const std::vector<float> values = named.tensor.to_vector<float>();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    all += sha256({std::span(bytes, values.size() * sizeof(float))});
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(all.data());
  return sha256({std::span(bytes, all.size())});
}

void train_code(int argc, char** argv) {
  CommonOptions defaults;
  defaults.model = "";
  defaults.batch_size = 0;
  defaults.epochs = 16;
  Options options(
      {
          .name = "train_code",
          .summary =
              "Learns a code over a trained model: an encoder and a decoder that reconstruct "
              "the answer of a worker that does not answer.",
          .example = "train_code --base runs/base --dataset mnist --k 2 --encoder mlp --loss mse "
                     "--epochs 16 --out runs/code\n"
                     "It ends with: test recovery-accuracy 97.10 % (or nearby)",
      },
      defaults, {"model", "batch-size"});
  Choices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  ProfileOutput profile(choices.profile);
  if (choices.base.empty())
    throw UsageError(
        "--base is needed: the run folder or safetensors file of a trained model, as "
        "train_classifier --out DIR makes one");
  const std::int64_t batch_size =
      common.batch_size > 0 ? common.batch_size
                            : choices.k * default_groups_per_batch(static_cast<int>(choices.k));
  if (batch_size % choices.k != 0)
    throw UsageError(
        fmt::format("--batch-size {}: is no multiple of --k {}; whole groups are "
                    "needed",
                    batch_size, choices.k));

  RunFolder folder(options, {choices.base});
  Progress progress(common.quiet);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_code_result(folder.repeat_result());
    return;
  }

  // dataset, in groups, and batches prepared ahead of the step
  const TrainTest data = load_data(common, choices.data, progress);
  if (choices.validation > data.train.size() / 2)
    throw UsageError(fmt::format(
        "--validation {}: more than half of the {} training images of {}; --validation {} will do",
        choices.validation, data.train.size(), common.dataset,
        std::max<std::int64_t>(1, data.train.size() / 12)));
  const Split split = split_indices(data.train.size(), choices.validation, common.seed, choices.k);
  // Only the encoder sees images that are moved and flipped: what it helps to reconstruct are the
  // base model's answers to the images as they are.
  const Augmentation augmentation = augmentation_for(choices.data, data.train);
  Loader loader(data.train,
                {.batch_size = batch_size,
                 .group = choices.k,
                 .seed = common.seed,
                 .augmentation = augmentation},
                split.train);
  Prefetcher batches(loader, choices.data.workers);
  const std::int64_t steps = common.epochs * loader.batches();

  // base model: frozen, its answers computed once
  const std::filesystem::path base_file = find_model(choices.base);
  const Safetensors base_content = read_safetensors(base_file);
  if (base_content.metadata.contains("understudy.kind"))
    throw UsageError(
        fmt::format("--base {}: is a {}, not a classifier; give the run folder of "
                    "train_classifier",
                    base_file.string(), base_content.metadata.at("understudy.kind")));
  const std::unique_ptr<Model> base = unpack_model(base_content, base_file.string(), common.model);
  if (base->classes() != data.train.classes)
    throw UsageError(fmt::format("--base {}: has {} classes, {} has {}", base_file.string(),
                                 base->classes(), common.dataset, data.train.classes));
  base->freeze();
  const Tensor train_outputs = all_outputs(*base, data.train);
  const Tensor test_outputs = all_outputs(*base, data.test);

  // code
  const Shape& images = data.train.images.shape();
  Generator generator(common.seed, Stream::initialization);
  LearnedCode code({.shape = {static_cast<int>(choices.k), static_cast<int>(choices.r)},
                    .encoder = choices.encoder,
                    .channels = channel_layout(choices.channels),
                    .image = {images[1], images[2], images[3]},
                    .classes = data.train.classes},
                   generator);
  const std::vector<ErasurePattern> patterns = standard_patterns(code);
  CodeTrainer trainer(code, *base, patterns,
                      {.loss = code_loss_named(choices.loss),
                       .lr = common.lr,
                       .weight_decay = choices.weight_decay});

  // where an unfinished run stood
  Checkpoint position;
  Tally tally;
  if (folder.state() == RunFolder::State::unfinished) {
    position = load_checkpoint(folder.last());
    restore(position, "code", code);
    restore(position, "optimizer.encoder", trainer.encoder_optimizer());
    restore(position, "optimizer.decoder", trainer.decoder_optimizer());
    tally = Tally::from(position.numbers);
  }
  nlohmann::json description = describe(data.train, data.test);
  description["base"] = {{"model", base->describe()}, {"sha256", checksum_of(*base)}};
  folder.write_header(description);
  folder.truncate_metrics(position.epoch);
  const auto save = [&](const std::filesystem::path& path) {
    position.tensors.clear();
    position.numbers = tally.numbers();
    collect(position, "code", code);
    collect(position, "optimizer.encoder", trainer.encoder_optimizer());
    collect(position, "optimizer.decoder", trainer.decoder_optimizer());
    save_checkpoint(path, position);
  };
  const auto stop_if_interrupted = [&] {
    if (!interrupted()) return;
    if (folder.writes()) save(folder.last());
    progress.line(folder.writes() ? "interrupted; saved, continue with --resume"
                                  : "interrupted; nothing is saved without --out");
    profile.finish();
    throw Exit{exit_interrupted};
  };

  progress.line(fmt::format(
      "train_code: {}, k = {}, r = {}, {} parameters, over {} ({:.2f} % on test); {} patterns of "
      "missing answers, {} groups a step{}; {}, {} threads, seed {}",
      code.name(), choices.k, choices.r, code.parameter_count(), base->describe(),
      100 * accuracy(test_outputs, data.test.labels), patterns.size(), batch_size / choices.k,
      augmentation.any() ? ", cropped and flipped for the encoder" : "", instruction_set(),
      common.threads, common.seed));
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = tally.seconds;
  progress.begin("training", steps, position.step);
  profile.begin();

  while (position.epoch < common.epochs) {
    batches.start_epoch(position.epoch, position.batch);
    while (position.batch < loader.batches()) {
      const Batch& batch = batches.next();
      tally.loss += trainer.step(as_groups(batch.images, gather_rows(train_outputs, batch.index),
                                           batch.labels, static_cast<int>(choices.k)));
      ++tally.steps;
      ++position.batch;
      ++position.step;
      tally.seconds = seconds_before + seconds_since(start);
      progress.update(position.step, fmt::format("epoch {}/{}  loss {:.4f}", position.epoch + 1,
                                                 common.epochs, tally.loss / tally.steps));
      stop_if_interrupted();
    }
    ++position.epoch;
    position.batch = 0;

    const CodeScore validation =
        evaluate_code(code, *base, data.train, train_outputs, patterns, split.validation);
    const double recovery = validation.recovery_accuracy();
    const double overall = validation.overall_accuracy();
    // The test set is looked at where validation says so, and never chooses.
    if (overall > tally.best_overall) {
      tally.best_overall = overall;
      tally.best_overall_epoch = static_cast<double>(position.epoch);
      tally.test = test_numbers(evaluate_code(code, *base, data.test, test_outputs, patterns),
                                code.shape().r);
    }
    tally.seconds = seconds_before + seconds_since(start);
    folder.add_metrics({{"epoch", position.epoch},
                        {"seconds", tally.seconds},
                        {"train_loss", tally.loss / tally.steps},
                        {"validation_squared_error", validation.squared_error},
                        {"validation_recovery_accuracy", recovery},
                        {"validation_overall_accuracy", overall}});
    progress.line(fmt::format(
        "epoch {}/{}  loss {:.4f}  validation recovery {:.2f} %, overall {:.2f} %  {} left",
        position.epoch, common.epochs, tally.loss / tally.steps, 100 * recovery, 100 * overall,
        duration(progress.seconds_left())));
    tally.loss = tally.steps = 0;

    if (!position.best_metric || recovery > *position.best_metric) {
      position.best_metric = recovery;
      position.best_epoch = position.epoch;
      if (folder.writes()) {
        save(folder.best());
        write_safetensors(folder.model(), to_safetensors(code));
        write_samples(folder.path() / "samples.safetensors", code, data.test);
      }
    }
    if (folder.writes()) save(folder.last());
    if (position.epoch < common.epochs) stop_if_interrupted();
  }
  progress.end();
  profile.finish();

  nlohmann::json result = code_result(tally.test, code, *base, data, common.device);
  result["validation_recovery_accuracy"] = *position.best_metric;
  result["validation_overall_accuracy"] = tally.best_overall;
  result["best_epoch"] = position.best_epoch;                     // of model.safetensors
  result["test_epoch"] = std::int64_t(tally.best_overall_epoch);  // of the test numbers
  result["loss"] = choices.loss;
  result["steps"] = position.step;
  result["seconds"] = tally.seconds;
  folder.finish(result);
  print_code_result(result);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("train_code", [&] { understudy::train_code(argc, argv); });
}
