// Trains a classifier on labelled images, from the data to the test accuracy, in the order in which
// the data flow: dataset, loader, model, loss, autograd, optimiser.
//
//   build/bin/train_classifier --dataset mnist --model mlp --epochs 8 --seed 1
//
// trains Base-MLP (784-200-100-10 with ReLU: Kosaian, Rashmi and Venkataraman 2018, arXiv
// 1806.01259) on the bundled MNIST; the paper's code reaches 97.93 %. It ends with a line like
//
//   test accuracy 97.80 %

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

// In the order of the data flow.
// clang-format off
#include "datasets/dataset.h"
#include "datasets/augment.h"
#include "datasets/loader.h"
#include "datasets/batch_feed.h"
#include "models/registry.h"
#include "models/model_file.h"
#include "engine/ops.h"
#include "engine/autograd.h"
#include "engine/optim/optimizer.h"
#include "engine/optim/schedule.h"
#include "engine/repeated_step.h"
#include "engine/checkpoint.h"
// clang-format on
#include "kernels/check.h"
#include "tools/runs/data.h"
#include "tools/runs/evaluate.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/options.h"
#include "tools/runs/profile_output.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"
#include "tools/runs/step_sums.h"
#include "tools/train_classifier/choices.h"

namespace understudy {
namespace {

// The sums over the epoch under way, the best epoch's scores and the seconds so far: what a resumed
// run needs beside parameters, optimiser and position to go on as if it had never stopped.
struct Tally {
  double loss = 0, correct = 0, seen = 0;
  double best_test_loss = 0, best_test_accuracy = 0;
  double seconds = 0;

  std::vector<double> sums() const { return {loss, correct, seen}; }
  void set_sums(const std::vector<double>& sums) {
    loss = sums[0];
    correct = sums[1];
    seen = sums[2];
  }

  std::map<std::string, double> numbers() const {
    return {{"loss", loss},
            {"correct", correct},
            {"seen", seen},
            {"best_test_loss", best_test_loss},
            {"best_test_accuracy", best_test_accuracy},
            {"seconds", seconds}};
  }
  static Tally from(const std::map<std::string, double>& n) {
    return {n.at("loss"),
            n.at("correct"),
            n.at("seen"),
            n.at("best_test_loss"),
            n.at("best_test_accuracy"),
            n.at("seconds")};
  }
};

void print_last_line(const nlohmann::json& result) {
  fmt::print("test accuracy {:.2f} %\n", 100 * result.at("test_accuracy").get<double>());
}

// Cross-entropy with a target of which the share `smoothing` is the same for every class.
Tensor loss_of(const Tensor& logits, const Tensor& labels, double smoothing) {
  const Tensor sharp = cross_entropy(logits, labels);
  if (smoothing == 0) return sharp;
  return (1 - smoothing) * sharp - smoothing * mean(log_softmax(logits));
}

// One step of training: model, loss, autograd, optimiser. On a GPU it is recorded and repeated, so
// it reads no values: `sums` takes its share of the epoch's loss, correct answers and images.
void train_step(const Batch& batch, Model& model, Optimizer& optimizer, const Choices& choices,
                StepSums& sums) {
  const Tensor logits = model(batch.images);
  const Tensor loss = loss_of(logits, batch.labels, choices.label_smoothing);
  optimizer.clear_gradients();
  loss.backward();
  if (choices.clip > 0) clip_gradient_norm(optimizer.parameters(), choices.clip);
  optimizer.apply_step();

  const auto size = static_cast<double>(batch.labels.count());
  sums.add({cast(loss.detach(), DType::f64) * size, correct_answers(logits, batch.labels),
            Tensor::full({}, size, DType::f64, loss.device())});
}

void train_classifier(int argc, char** argv) {
  Options options({
      .name = "train_classifier",
      .summary = "Trains a classifier on labelled images.",
      .example =
          "train_classifier --dataset mnist --model mlp --epochs 8 --seed 1 --out runs/base\n"
          "It ends with: test accuracy 97.80 % (or nearby)",
  });
  Choices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  ProfileOutput profile(choices.profile);

  std::vector<std::filesystem::path> inputs;
  if (!choices.init.empty()) inputs.push_back(choices.init);
  RunFolder folder(options, inputs);
  Progress progress(common.quiet);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_last_line(folder.repeat_result());
    return;
  }

  // dataset, once more on the device where that is not the CPU
  const TrainTest data = load_data(common, choices.data, progress);
  const TrainTest resident = to(data, common.device);
  if (choices.validation >= data.train.size())
    throw UsageError(fmt::format("--validation {}: leaves none of the {} training images",
                                 choices.validation, data.train.size()));
  const Split split = split_indices(data.train.size(), choices.validation, common.seed);

  // loader, and its batches where the step finds them
  const Augmentation augmentation = augmentation_for(choices.data, data.train);
  Loader loader(
      resident.train,
      {.batch_size = common.batch_size, .seed = common.seed, .augmentation = augmentation},
      split.train);
  BatchFeed batches(loader, choices.data.workers);
  const std::int64_t steps = common.epochs * loader.batches();

  // model
  const Shape& images = data.train.images.shape();
  Generator generator(common.seed, Stream::initialization);
  std::unique_ptr<Model> model = make_model({.name = common.model,
                                             .input = {images[1], images[2], images[3]},
                                             .classes = data.train.classes,
                                             .hidden = choices.hidden,
                                             .width = choices.width,
                                             .batch_norm = !choices.no_batch_norm},
                                            generator);
  if (!choices.init.empty()) model = load_model(find_model(choices.init), model->describe());
  model->to(common.device);

  // optimiser
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(choices, common.lr, *model);
  const Schedule schedule = make_schedule(choices.schedule, common.lr, steps);

  // where an unfinished run stood
  Checkpoint position;
  Tally tally;
  if (folder.state() == RunFolder::State::unfinished) {
    position = load_checkpoint(folder.last());
    restore(position, "model", *model);
    restore(position, "optimizer", *optimizer);
    tally = Tally::from(position.numbers);
  }
  folder.write_header(data.train, data.test);
  folder.truncate_metrics(position.epoch);

  // the step, recorded for whole batches and for an epoch's short last one
  StepSums sums(common.device, tally.sums());
  const auto read_sums = [&] {
    tally.set_sums(sums.read());
    check(std::isfinite(tally.loss),
          "the loss is {}: training diverged; try a smaller --lr than {}, or --clip 1", tally.loss,
          optimizer->lr());
  };
  const auto work = [&] { train_step(batches.batch(), *model, *optimizer, choices, sums); };
  RepeatedStep whole_step(common.device, profile.step_mode(common), work);
  RepeatedStep short_step(common.device, profile.step_mode(common), work);

  const auto save = [&](const std::filesystem::path& path) {
    position.tensors.clear();
    position.numbers = tally.numbers();
    collect(position, "model", *model);
    collect(position, "optimizer", *optimizer);
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

  progress.line(
      fmt::format("train_classifier: {}, {} parameters, {} images of {}{}; {}, {} threads, seed {}",
                  model->describe(), model->parameter_count(), split.train.size(), common.dataset,
                  augmentation.any() ? ", cropped and flipped" : "", machine(common),
                  common.threads, common.seed));
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = tally.seconds;
  const auto update_seconds = [&] { tally.seconds = seconds_before + seconds_since(start); };
  progress.begin("training", steps, position.step);
  profile.begin();

  while (position.epoch < common.epochs) {
    batches.start_epoch(position.epoch, position.batch);
    while (position.batch < loader.batches()) {
      optimizer->set_lr(schedule(position.step));
      optimizer->prepare_step();
      batches.advance();
      (batches.is_whole() ? whole_step : short_step).run();
      ++position.batch;
      ++position.step;
      if (sums.due()) read_sums();
      update_seconds();
      std::string now = fmt::format("epoch {}/{}", position.epoch + 1, common.epochs);
      if (tally.seen > 0) now += fmt::format("  loss {:.4f}", tally.loss / tally.seen);
      progress.update(position.step, now);
      stop_if_interrupted();
    }
    ++position.epoch;
    position.batch = 0;
    read_sums();

    const Score test = evaluate(*model, resident.test);
    std::optional<Score> validation;
    if (choices.validation > 0) validation = evaluate(*model, resident.train, split.validation);
    update_seconds();
    nlohmann::json line = {{"epoch", position.epoch},
                           {"seconds", tally.seconds},
                           {"lr", optimizer->lr()},
                           {"train_loss", tally.loss / tally.seen},
                           {"train_accuracy", tally.correct / tally.seen},
                           {"test_loss", test.loss},
                           {"test_accuracy", test.accuracy}};
    if (validation) {
      line["validation_loss"] = validation->loss;
      line["validation_accuracy"] = validation->accuracy;
    }
    folder.add_metrics(line);
    progress.line(fmt::format(
        "epoch {}/{}  loss {:.4f}  train {:.2f} %{}  test {:.2f} %  {} left", position.epoch,
        common.epochs, tally.loss / tally.seen, 100 * tally.correct / tally.seen,
        validation ? fmt::format("  validation {:.2f} %", 100 * validation->accuracy) : "",
        100 * test.accuracy, duration(progress.seconds_left())));
    tally.set_sums({0, 0, 0});
    sums.set(tally.sums());

    // The test set never chooses: without validation images the last epoch is the best.
    if (!validation || !position.best_metric || validation->accuracy > *position.best_metric) {
      if (validation) position.best_metric = validation->accuracy;
      position.best_epoch = position.epoch;
      tally.best_test_loss = test.loss;
      tally.best_test_accuracy = test.accuracy;
      if (folder.writes()) {
        save(folder.best());
        save_model(folder.model(), *model, {{"dataset", common.dataset}});
      }
    }
    if (folder.writes()) save(folder.last());
    if (position.epoch < common.epochs) stop_if_interrupted();
  }
  progress.end();
  profile.finish();

  nlohmann::json result = {{"test_accuracy", tally.best_test_accuracy},
                           {"test_loss", tally.best_test_loss},
                           {"best_epoch", position.best_epoch},
                           {"steps", position.step},
                           {"seconds", tally.seconds},
                           {"model", model->describe()},
                           {"parameters", model->parameter_count()}};
  if (position.best_metric) result["validation_accuracy"] = *position.best_metric;
  folder.finish(result);
  fmt::print("{} on {}: {} epochs in {:.1f} s\n", model->describe(), common.dataset, common.epochs,
             tally.seconds);
  print_last_line(result);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("train_classifier",
                                 [&] { understudy::train_classifier(argc, argv); });
}
