// Trains a code over a trained model: "Learning a Code" (Kosaian, Rashmi and Venkataraman 2018,
// arXiv 1806.01259), an encoder that makes r parity inputs of k inputs, and a decoder that
// reconstructs the answer of a worker that does not answer; or parity models (ParM, SOSP 2019),
// networks that answer fixed parity inputs. In the order in which the data flow: groups of images,
// encoder, base model, missing answers, decoder, loss, autograd, optimisers.
//
//   build/bin/train_classifier --dataset mnist --epochs 8 --out runs/base
//   build/bin/train_code --base runs/base --dataset mnist --k 2 --encoder mlp --epochs 16
//   build/bin/train_code --base runs/base --dataset mnist --k 2 --code parity-sum --epochs 16
//
// end with a line like
//
//   test recovery-accuracy 97.10 %

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

// In the order of the data flow.
// clang-format off
#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "datasets/batch_feed.h"
#include "tools/runs/base_model.h"
#include "coding/simulate.h"
#include "coding/trainable_code.h"
#include "coding/training.h"
#include "coding/evaluation.h"
#include "engine/ops.h"
#include "engine/optim/schedule.h"
#include "engine/repeated_step.h"
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
#include "tools/runs/step_sums.h"
#include "tools/train_code/choices.h"
#include "tools/train_code/result.h"
#include "tools/train_code/samples.h"
#include "tools/train_code/tally.h"

namespace understudy {
namespace {

// Epochs without an answer better than a guess after which a run says so, and then each time again.
constexpr std::int64_t patience = 5;

void train_code(int argc, char** argv) {
  CommonOptions defaults;
  defaults.model = "";
  defaults.batch_size = 0;
  defaults.epochs = 16;
  Options options(
      {
          .name = "train_code",
          .summary =
              "Trains a code over a trained model, which reconstructs the answer of a worker that "
              "does not answer: an encoder and a decoder, or parity models.",
          .example = "train_code --base runs/base --dataset mnist --k 2 --encoder mlp --loss mse "
                     "--epochs 16 --out runs/code\n"
                     "It ends with: test recovery-accuracy 97.10 % (or nearby)",
      },
      defaults, {"model", "batch-size"});
  CodeChoices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  ProfileOutput profile(choices.profile);
  check_choices(common, choices);

  RunFolder folder(options, {choices.base});
  Progress progress(common.quiet);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_code_result(folder.repeat_result());
    return;
  }

  // dataset, once more on the device where that is not the CPU
  const TrainTest data = load_data(common, choices.data, progress);
  const TrainTest resident = to(data, common.device);
  if (choices.validation > data.train.size() / 2)
    throw UsageError(fmt::format(
        "--validation {}: more than half of the {} training images of {}; --validation {} will do",
        choices.validation, data.train.size(), common.dataset,
        std::max<std::int64_t>(1, data.train.size() / 12)));

  // base model: frozen
  const std::unique_ptr<Model> base = load_base_model(choices.base, common.model, data.train);
  base->to(common.device);

  // code
  const Shape& images = data.train.images.shape();
  Generator generator(common.seed, Stream::initialization);
  const std::unique_ptr<TrainableCode> code =
      make_code(choices, {images[1], images[2], images[3]}, *base, generator);
  code->to(common.device);
  const std::vector<ErasurePattern> patterns = standard_patterns(*code);
  CodeTrainer trainer(*code, *base, patterns,
                      {.loss = code_loss_named(choices.loss),
                       .lr = common.lr,
                       .weight_decay = choices.weight_decay});

  // the base model's answers, computed once
  progress.line(fmt::format("computing the base model's answers to {} images",
                            data.train.size() + data.test.size()));
  const Tensor train_outputs = all_outputs(*base, resident.train);
  const Tensor test_outputs = all_outputs(*base, resident.test);

  // groups of images, where the step finds them
  const std::int64_t batch_size =
      common.batch_size > 0 ? common.batch_size : choices.k * code->groups_per_batch();
  const Split split = split_indices(data.train.size(), choices.validation, common.seed, choices.k);
  // Only the encoder sees images that are moved and flipped: what it helps to reconstruct are the
  // base model's answers to the images as they are.
  const Augmentation augmentation = augmentation_for(choices.data, data.train);
  Loader loader(resident.train,
                {.batch_size = batch_size,
                 .group = choices.k,
                 .seed = common.seed,
                 .augmentation = augmentation},
                split.train);
  BatchFeed batches(loader, choices.data.workers);
  const std::int64_t steps = common.epochs * loader.batches();

  // where an unfinished run stood
  Checkpoint position;
  Tally tally;
  if (folder.state() == RunFolder::State::unfinished) {
    position = load_checkpoint(folder.last());
    restore(position, "code", *code);
    for (const CodeTrainer::PartOptimizer& each : trainer.optimizers())
      restore(position, "optimizer." + each.part, *each.optimizer);
    tally = Tally::from(position.numbers);
  }
  nlohmann::json description = describe(data.train, data.test);
  description["base"] = {{"model", code->purpose().base.model},
                         {"sha256", code->purpose().base.sha256}};
  folder.write_header(description);
  folder.truncate_metrics(position.epoch);

  // the step, recorded on a GPU for whole batches and for an epoch's short last one
  StepSums sums(common.device, tally.sums());
  const auto read_sums = [&] {
    tally.set_sums(sums.read());
    check(std::isfinite(tally.loss),
          "the loss became {}: training has diverged; try a smaller --lr or another --seed",
          tally.loss);
  };
  const auto work = [&] {
    const Batch& batch = batches.batch();
    const Tensor loss =
        trainer.loss(as_groups(batch.images, gather_rows(train_outputs, batch.index), batch.labels,
                               static_cast<int>(choices.k)));
    trainer.update(loss);
    sums.add({loss, Tensor::ones({}, DType::f64, loss.device())});
  };
  RepeatedStep whole_step(common.device, profile.step_mode(common), work);
  RepeatedStep short_step(common.device, profile.step_mode(common), work);

  const auto save = [&](const std::filesystem::path& path) {
    position.tensors.clear();
    position.numbers = tally.numbers();
    collect(position, "code", *code);
    for (const CodeTrainer::PartOptimizer& each : trainer.optimizers())
      collect(position, "optimizer." + each.part, *each.optimizer);
    save_checkpoint(path, position);
  };
  const auto stop_if_interrupted = [&] {
    if (!interrupted()) return;
    read_sums();
    if (folder.writes()) save(folder.last());
    progress.line(folder.writes() ? "interrupted; saved, continue with --resume"
                                  : "interrupted; nothing is saved without --out");
    profile.finish();
    throw Exit{exit_interrupted};
  };

  progress.line(fmt::format(
      "train_code: {}, k = {}, r = {}, {} parameters, over {} ({:.2f} % on test); {} patterns of "
      "missing answers, {} groups a step{}; {}, {} threads, seed {}",
      code->name(), choices.k, choices.r, code->parameter_count(), base->describe(),
      100 * accuracy(test_outputs, resident.test.labels), patterns.size(), batch_size / choices.k,
      augmentation.any() ? ", cropped and flipped for the encoder" : "", machine(common),
      common.threads, common.seed));
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = tally.seconds;
  const Schedule schedule = make_schedule(choices.schedule, common.lr, steps);
  progress.begin("training", steps, position.step);
  profile.begin();

  while (position.epoch < common.epochs) {
    batches.start_epoch(position.epoch, position.batch);
    while (position.batch < loader.batches()) {
      trainer.set_lr(schedule(position.step));
      trainer.prepare_step();
      batches.advance();
      (batches.is_whole() ? whole_step : short_step).run();
      ++position.batch;
      ++position.step;
      if (sums.due()) read_sums();
      tally.seconds = seconds_before + seconds_since(start);
      std::string now = fmt::format("epoch {}/{}", position.epoch + 1, common.epochs);
      if (tally.steps > 0) now += fmt::format("  loss {:.4f}", tally.loss / tally.steps);
      progress.update(position.step, now);
      stop_if_interrupted();
    }
    ++position.epoch;
    position.batch = 0;
    read_sums();

    const CodeScore validation =
        evaluate_code(*code, *base, resident.train, train_outputs, patterns, split.validation);
    const double recovery = validation.recovery_accuracy();
    const double overall = validation.overall_accuracy();
    // The test set is looked at where validation says so, and never chooses.
    if (overall > tally.best_overall) {
      tally.best_overall = overall;
      tally.best_overall_epoch = static_cast<double>(position.epoch);
      tally.test = test_numbers(evaluate_code(*code, *base, resident.test, test_outputs, patterns));
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
    tally.set_sums({0, 0});
    sums.set(tally.sums());

    if (!position.best_metric || recovery > *position.best_metric) {
      position.best_metric = recovery;
      position.best_epoch = position.epoch;
      if (folder.writes()) {
        save(folder.best());
        write_safetensors(folder.model(), code->to_safetensors());
        write_samples(folder.path() / "samples.safetensors", *code, resident.test);
      }
    }
    if (position.epoch % patience == 0 && !above_chance(*position.best_metric, base->classes()))
      progress.line(
          fmt::format("epoch {}/{}  NOTHING LEARNED so far: {:.2f} % recovered at best is a guess; "
                      "some settings "
                      "fail from some starts, try another --seed",
                      position.epoch, common.epochs, 100 * *position.best_metric));
    if (folder.writes()) save(folder.last());
    if (position.epoch < common.epochs) stop_if_interrupted();
  }
  progress.end();
  profile.finish();

  nlohmann::json result = code_result(tally.test, *code, *base, data, common.device);
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
