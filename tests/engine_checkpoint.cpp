// A run that is saved, stopped and taken up again gives the same bits as one that never stopped.
#include "engine/checkpoint.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>

#include "engine/atomic_file.h"
#include "engine/nn/linear.h"
#include "engine/nn/sequential.h"
#include "engine/ops.h"
#include "engine/safetensors.h"
#include "kernels/check.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;
using namespace understudy;
using understudy::testing::error_text;

namespace {

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(std::vector<NamedTensor>)>;

// A small training run with random batches: everything that a checkpoint has to hold.
struct Run {
  Generator start;
  Sequential net;
  std::unique_ptr<Optimizer> optimizer;
  Generator data{5, Stream::sampling};
  std::int64_t step = 0;

  Run(std::uint64_t seed, const MakeOptimizer& make, std::int64_t hidden = 6)
      : start(seed), net(Linear(4, hidden, start), ReLU(), Linear(hidden, 3, start)) {
    optimizer = make(net.named_parameters());
  }
  void train(int steps) {
    for (int i = 0; i < steps; ++i) {
      Tensor x = Tensor::empty({8, 4});
      fill_normal(x, data, 0, 1);
      std::vector<std::int64_t> labels;
      for (int row = 0; row < 8; ++row) labels.push_back(static_cast<std::int64_t>(data.below(3)));
      optimizer->set_lr(0.05 / (1.0 + 0.1 * static_cast<double>(step)));
      optimizer->clear_gradients();
      cross_entropy(net(x), Tensor::from(labels, {8})).backward();
      optimizer->step();
      ++step;
    }
  }
  Checkpoint checkpoint() {
    Checkpoint c;
    c.step = step;
    collect(c, "model", net);
    collect(c, "optimizer", *optimizer);
    collect(c, "data", data);
    return c;
  }
  void resume(const Checkpoint& c) {
    restore(c, "model", net);
    restore(c, "optimizer", *optimizer);
    restore(c, "data", data);
    step = c.step;
  }
};

// In any order: files are sorted.
bool same_bits(std::vector<NamedTensor> a, std::vector<NamedTensor> b) {
  for (auto* state : {&a, &b})
    std::sort(state->begin(), state->end(), [](auto& x, auto& y) { return x.name < y.name; });
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor &x = a[i].tensor, &y = b[i].tensor;
    if (a[i].name != b[i].name || x.shape() != y.shape() || x.dtype() != y.dtype()) return false;
    const std::size_t bytes = static_cast<std::size_t>(x.count()) * size_of(x.dtype());
    if (std::memcmp(x.view().data, y.view().data, bytes) != 0) return false;
  }
  return true;
}

MakeOptimizer adam() {
  return [](std::vector<NamedTensor> p) { return make_adam(std::move(p), {.weight_decay = 1e-5}); };
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("checkpoint: a resumed run equals the uninterrupted one bit for bit") {
    struct Case {
      const char* name;
      MakeOptimizer make;
    };
    const Case cases[] = {
        {"SGD",
         [](std::vector<NamedTensor> p) {
           return make_sgd(std::move(p), {.momentum = 0.9, .weight_decay = 1e-3, .nesterov = true});
         }},
        {"Adam", adam()},
        {"AdamW", [](std::vector<NamedTensor> p) { return make_adamw(std::move(p), {}); }},
    };
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "last.safetensors";
    for (const Case& c : cases) {
      CAPTURE(c.name);
      Run whole(1, c.make);
      whole.train(14);

      Run first(1, c.make);
      first.train(7);
      save_checkpoint(path, first.checkpoint());
      Run second(99, c.make);  // another start: all must come from the file
      second.train(3);
      CHECK(!same_bits(first.net.state_dict(), second.net.state_dict()));
      second.resume(load_checkpoint(path));
      CHECK(same_bits(first.net.state_dict(), second.net.state_dict()));
      second.train(7);

      CHECK(same_bits(whole.net.state_dict(), second.net.state_dict()));
      CHECK(same_bits(whole.optimizer->state_dict(), second.optimizer->state_dict()));
      CHECK(whole.data.position() == second.data.position());
      CHECK(whole.step == second.step);
    }
  }

  TEST_CASE("checkpoint: two networks and two optimisers, as a learned code has them") {
    const TemporaryFolder folder;
    Run encoder(1, adam()), decoder(2, adam(), 9);
    encoder.train(3);
    decoder.train(5);
    Checkpoint c;
    collect(c, "encoder", encoder.net);
    collect(c, "decoder", decoder.net);
    collect(c, "optimizer.encoder", *encoder.optimizer);
    collect(c, "optimizer.decoder", *decoder.optimizer);
    CHECK_THROWS_AS(collect(c, "encoder", decoder.net), Error);
    CHECK_THROWS_AS(collect(c, "a/b", decoder.net), Error);
    save_checkpoint(folder.path() / "c", c);

    const Checkpoint read = load_checkpoint(folder.path() / "c");
    Run encoder2(3, adam()), decoder2(4, adam(), 9);
    restore(read, "encoder", encoder2.net);
    restore(read, "decoder", decoder2.net);
    restore(read, "optimizer.encoder", *encoder2.optimizer);
    restore(read, "optimizer.decoder", *decoder2.optimizer);
    CHECK(same_bits(encoder.net.state_dict(), encoder2.net.state_dict()));
    CHECK(same_bits(decoder.net.state_dict(), decoder2.net.state_dict()));
    CHECK(same_bits(encoder.optimizer->state_dict(), encoder2.optimizer->state_dict()));
    CHECK(same_bits(decoder.optimizer->state_dict(), decoder2.optimizer->state_dict()));
  }

  TEST_CASE("checkpoint: positions, numbers and text survive to the last bit") {
    const TemporaryFolder folder;
    Checkpoint c;
    c.epoch = 3;
    c.batch = std::numeric_limits<std::int64_t>::max();
    c.step = 9007199254740993;  // 2^53 + 1: no double holds it
    c.best_epoch = -1;
    c.numbers = {{"loss", 0.1 + 0.2},
                 {"tiny", std::numeric_limits<double>::denorm_min()},
                 {"big", -std::numeric_limits<double>::max()},
                 {"infinite", std::numeric_limits<double>::infinity()},
                 {"nan", std::numeric_limits<double>::quiet_NaN()}};
    c.text = {{"config", "{\"model\": \"mlp\",\n \"lr\": 0.001}"}, {"empty", ""}};
    Generator generator(std::numeric_limits<std::uint64_t>::max(), Stream::test);
    generator.set_position(std::numeric_limits<std::uint64_t>::max() - 2);
    collect(c, "shuffling", generator);
    save_checkpoint(folder.path() / "c", c);

    Checkpoint read = load_checkpoint(folder.path() / "c");
    CHECK(read.epoch == c.epoch);
    CHECK(read.batch == c.batch);
    CHECK(read.step == c.step);
    CHECK(read.best_epoch == c.best_epoch);
    CHECK(!read.best_metric.has_value());
    CHECK(read.text == c.text);
    CHECK(read.numbers.size() == c.numbers.size());
    for (const auto& [name, value] : c.numbers) {
      CAPTURE(name);
      CHECK(
          (std::isnan(value) ? std::isnan(read.numbers.at(name)) : read.numbers.at(name) == value));
    }
    Generator other(1);
    restore(read, "shuffling", other);
    CHECK(other.key().seed == generator.key().seed);
    CHECK(other.key().stream == generator.key().stream);
    CHECK(other.position() == generator.position());

    c.best_metric = 97.93;
    save_checkpoint(folder.path() / "c", c);
    CHECK(load_checkpoint(folder.path() / "c").best_metric == 97.93);
  }

  TEST_CASE("checkpoint: is a snapshot") {
    Run run(1, adam());
    run.train(2);
    const Checkpoint c = run.checkpoint();
    run.train(2);
    Run other(7, adam());
    other.resume(c);
    other.train(2);
    CHECK(same_bits(run.net.state_dict(), other.net.state_dict()));
  }

  TEST_CASE("checkpoint: that of another network is refused, and nothing is changed") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "other.safetensors";
    Run run(1, adam()), other(2, adam(), 9);
    run.train(1);
    other.train(1);
    save_checkpoint(path, other.checkpoint());
    const Checkpoint c = load_checkpoint(path);
    const Checkpoint before = run.checkpoint();
    for (const std::string section : {"model", "optimizer"}) {
      const std::string message = error_text([&] {
        if (section == "model")
          restore(c, section, run.net);
        else
          restore(c, section, *run.optimizer);
      });
      CAPTURE(message);
      CHECK(message.starts_with(path.string() + ": \"" + section + "\": "));
      CHECK(message.find("0.weight") != message.npos);
      CHECK(message.find("(9,4)") != message.npos);
      CHECK(message.find("(6,4)") != message.npos);
      CHECK(message.find("2.bias") == message.npos);  // that one fits
    }
    CHECK(same_bits(before.section("model"), run.net.state_dict()));
    CHECK(same_bits(before.section("optimizer"), run.optimizer->state_dict()));
    CHECK(error_text([&] { restore(c, "decoder", run.net); }) ==
          path.string() +
              ": \"decoder\" is not in the checkpoint; its sections are data, model, "
              "optimizer");
    Generator generator(1);
    CHECK(error_text([&] { restore(c, "model", generator); }).find("is not in") !=
          std::string::npos);
  }

  TEST_CASE("checkpoint: files that are none are refused") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "c.safetensors";
    const auto error_with = [&](const std::string& key, const std::optional<std::string>& value) {
      Safetensors s;
      s.metadata = {{"understudy.checkpoint", "1"},
                    {"epoch", "0"},
                    {"batch", "0"},
                    {"step", "0"},
                    {"best_epoch", "0"},
                    {"generator/g", "1 2 3"}};
      s.metadata.erase(key);
      if (value) s.metadata[key] = *value;
      write_safetensors(path, s);
      return error_text([&] { load_checkpoint(path); });
    };
    CHECK(error_with("nothing", {}) == "(no error)");
    CHECK(error_with("understudy.checkpoint", {}).find("expected a checkpoint") !=
          std::string::npos);
    for (const auto& [key, value] : std::vector<std::pair<std::string, std::optional<std::string>>>{
             {"understudy.checkpoint", "2"},
             {"epoch", {}},
             {"epoch", "one"},
             {"epoch", "1.5"},
             {"epoch", ""},
             {"epoch", "-1"},
             {"batch", "9223372036854775808"},
             {"step", " 1"},
             {"best_metric", "good"},
             {"generator/g", "1 2"},
             {"generator/g", "1 2 3 4"},
             {"generator/g", "1 2 -3"},
             {"generator/g", ""},
             {"number/x", "1,5"}}) {
      CAPTURE(key);
      const std::string message = error_with(key, value);
      CHECK(message.starts_with(path.string() + ": "));
    }
  }

  TEST_CASE("checkpoint: a disk that fills up at any write leaves the last good one") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "last.safetensors";
    Run run(1, adam());
    run.train(2);
    save_checkpoint(path, run.checkpoint());
    const Checkpoint good = load_checkpoint(path);
    run.train(2);
    int failures = 0;
    for (int n = 0;; ++n) {
      int calls = 0;
      bool failed = false;
      std::string message;
      {
        const FileCallHook hook([&](const std::string& call, std::size_t&) {
          const bool fails = calls++ == n && !call.ends_with("directory");
          failed |= fails;
          return fails ? ENOSPC : 0;
        });
        message = error_text([&] { save_checkpoint(path, run.checkpoint()); });
      }
      if (!failed) break;
      ++failures;
      CHECK(message.find(path.string()) != message.npos);
      const Checkpoint read = load_checkpoint(path);
      CHECK(same_bits(read.section("model"), good.section("model")));
      CHECK(same_bits(read.section("optimizer"), good.section("optimizer")));
    }
    CHECK(failures > 10);  // open, fchmod, a write for each of the many tensors, fsync, rename
    CHECK(same_bits(load_checkpoint(path).section("model"), run.net.state_dict()));
  }
}
