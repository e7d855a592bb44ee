// What --out accepts, and what is left in it.
#include <doctest/doctest.h>

#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>

#include "engine/atomic_file.h"
#include "kernels/check.h"
#include "kernels/parallel.h"
#include "temporary_folder.h"
#include "tools/runs/evaluate.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"

using namespace understudy;
namespace fs = std::filesystem;

namespace {

const nlohmann::json data = {{"name", "mnist"}, {"train", 10}};

struct Run {
  Options options;
  std::unique_ptr<RunFolder> folder;
  Run(const fs::path& out, std::vector<std::string> flags, const char* program = "trainer",
      const std::vector<fs::path>& inputs = {})
      : options({.name = program}) {
    flags.insert(flags.begin(), {program, "--out", out.string()});
    std::vector<const char*> arguments;
    for (const std::string& flag : flags) arguments.push_back(flag.c_str());
    options.parse(static_cast<int>(arguments.size()), arguments.data());
    folder = std::make_unique<RunFolder>(options, inputs);
  }
};

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string refusal(const fs::path& out, std::vector<std::string> flags,
                    const char* program = "trainer", const std::vector<fs::path>& inputs = {}) {
  try {
    const Run run(out, std::move(flags), program, inputs);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("tools") {
  TEST_CASE("a run's folder from its start to its end") {
    const TemporaryFolder temporary;
    const fs::path out = temporary.path() / "deep" / "run";
    {
      Run run(out, {"--epochs", "3"});
      CHECK(run.folder->state() == RunFolder::State::fresh);
      CHECK_FALSE(fs::exists(out));  // looking makes nothing
      run.folder->write_header(data);
      for (int epoch = 1; epoch <= 2; ++epoch) run.folder->add_metrics({{"epoch", epoch}});
    }
    const auto header = nlohmann::json::parse(read(out / "header.json"));
    for (const char* key : {"program", "version", "commit", "compiler", "instruction_set",
                            "threads", "seed", "device", "dataset", "settings", "command"})
      CHECK(header.contains(key));
    CHECK(header["dataset"] == data);
    CHECK(header["settings"]["epochs"] == 3);
    CHECK(has(read(out / "config.toml"), "epochs = 3\n"));

    // Stopped before its first checkpoint: starts anew, and its lines are gone.
    {
      Run run(out, {"--epochs", "3"});
      CHECK(run.folder->state() == RunFolder::State::fresh);
      run.folder->write_header(data);
      CHECK_FALSE(fs::exists(out / "metrics.jsonl"));
      for (int epoch = 1; epoch <= 3; ++epoch) run.folder->add_metrics({{"epoch", epoch}});
    }
    std::ofstream(out / "last.safetensors") << "a checkpoint of epoch 2";
    std::ofstream(out / "metrics.jsonl", std::ios::app) << "{\"epoch\": 4, \"los";  // a kill

    CHECK(has(refusal(out, {"--epochs", "3"}), "continue it with --resume"));
    CHECK(has(refusal(out, {"--epochs", "4", "--resume"}), "epochs 3, now 4"));
    CHECK(has(refusal(out, {"--epochs", "3", "--resume"}, "other"),
              "holds an unfinished run of trainer"));
    {
      Run run(out, {"--epochs", "3", "--resume"});
      CHECK(run.folder->state() == RunFolder::State::unfinished);
      CHECK_THROWS_AS(run.folder->write_header({{"name", "mnist"}, {"train", 11}}), Error);
      run.folder->write_header(data);
      run.folder->truncate_metrics(2);
      run.folder->add_metrics({{"epoch", 3}});
      CHECK(read(out / "metrics.jsonl") == "{\"epoch\":1}\n{\"epoch\":2}\n{\"epoch\":3}\n");
      run.folder->finish({{"test_accuracy", 0.975}});
    }
    CHECK(nlohmann::json::parse(read(out / "header.json"))["resumed"].size() == 1);

    const fs::path json = temporary.path() / "result.json";
    {
      Run again(out, {"--epochs", "3", "--json", json.string()});
      CHECK(again.folder->state() == RunFolder::State::finished);
      CHECK(again.folder->repeat_result()["test_accuracy"] == 0.975);
    }
    CHECK(read(json) == read(out / "result.json"));
    CHECK(nlohmann::json::parse(read(json))["program"] == "trainer");
    CHECK(has(refusal(out, {"--epochs", "5"}),
              "holds a finished run with other settings (epochs 3, now 5)"));
  }

  TEST_CASE("a run that is older than a setting had its default") {
    const TemporaryFolder temporary;
    const fs::path out = temporary.path() / "run";
    {
      Run run(out, {"--epochs", "3"});
      run.folder->write_header(data);
    }
    std::ofstream(out / "last.safetensors") << "a checkpoint";
    auto header = nlohmann::json::parse(read(out / "header.json"));
    CHECK(header["settings"].erase("model") == 1);
    std::ofstream(out / "header.json") << header;
    {
      const Run again(out, {"--epochs", "3", "--resume"});
      CHECK(again.folder->state() == RunFolder::State::unfinished);
    }
    CHECK(has(refusal(out, {"--epochs", "3", "--resume", "--model", "logistic"}),
              "model \"mlp\", now \"logistic\""));
    // A setting that there is no more says what it was.
    header["settings"]["depth"] = 4;
    std::ofstream(out / "header.json") << header;
    CHECK(has(refusal(out, {"--epochs", "3", "--resume"}), "depth 4, now unset"));
  }

  TEST_CASE("folders that are no run's are left alone") {
    const TemporaryFolder temporary;
    CHECK(refusal(temporary.path(), {}) == "");  // empty
    std::ofstream(temporary.path() / "letter.txt") << "dear";
    CHECK(has(refusal(temporary.path(), {}), "has files but no run in it"));
    CHECK(has(refusal(temporary.path() / "letter.txt", {}), "is a file"));
    CHECK(has(refusal("", {"--resume"}), "--resume needs --out"));
    CHECK(has(refusal("", {"--json", "/nowhere/at/all.json"}), "there is no folder /nowhere/at"));
  }

  TEST_CASE("two runs never work in one folder") {
    const TemporaryFolder temporary;
    const fs::path out = temporary.path() / "run";
    {
      Run first(out, {}), second(out, {});  // neither finds a folder
      first.folder->write_header(data);
      CHECK_THROWS_AS(second.folder->write_header(data), UsageError);
      CHECK(has(refusal(out, {}), "another run is at work in it"));
    }
    CHECK(refusal(out, {}) == "");
    {
      const fs::path other = temporary.path() / "other";
      auto first = std::make_unique<Run>(other, std::vector<std::string>{});
      Run second(other, {});
      first->folder->write_header(data);
      first->folder->finish({{"test_accuracy", 0.5}});
      first.reset();
      CHECK_THROWS_AS(second.folder->write_header(data), UsageError);
      CHECK(nlohmann::json::parse(read(other / "result.json"))["test_accuracy"] == 0.5);
    }
  }

  TEST_CASE("a kill while the header is written leaves a folder that the next run takes") {
    const TemporaryFolder temporary;
    // Every place where the start of a run can be cut off, one after the other.
    for (std::size_t cut = 0;; ++cut) {
      const fs::path out = temporary.path() / std::to_string(cut);
      std::size_t calls = 0;
      {
        Run run(out, {});
        const FileCallHook hook(
            [&](const std::string&, std::size_t&) { return calls++ == cut ? EIO : 0; });
        try {
          run.folder->write_header(data);
        } catch (const Error&) {
        }
      }
      CHECK(refusal(out, {}) == "");
      if (calls > cut) continue;
      CHECK(cut >= 8);  // two files of several calls each
      break;
    }
    // What a kill leaves, which cannot clean up as an exception does.
    const fs::path killed = temporary.path() / "killed";
    fs::create_directories(killed);
    std::ofstream(killed / ".header.json.123-0.tmp") << "{";
    {
      Run run(killed, {});
      run.folder->write_header(data);
    }
    CHECK_FALSE(fs::exists(killed / ".header.json.123-0.tmp"));
    CHECK(fs::exists(killed / "config.toml"));
  }

  TEST_CASE("a run knows the models it began from") {
    const TemporaryFolder temporary;
    const fs::path out = temporary.path() / "run", input = temporary.path() / "base.safetensors";
    std::ofstream(input) << "first";
    {
      Run run(out, {}, "trainer", {input});
      run.folder->write_header(data);
    }
    const auto header = nlohmann::json::parse(read(out / "header.json"));
    CHECK(header["inputs"][input.string()].get<std::string>().size() == 64);
    std::ofstream(out / "last.safetensors") << "a checkpoint";
    CHECK(refusal(out, {"--resume"}, "trainer", {input}) == "");
    std::ofstream(input) << "second";
    CHECK(
        has(refusal(out, {"--resume"}, "trainer", {input}), "base.safetensors, which has changed"));
    std::ofstream(out / "result.json") << "{}";
    CHECK(
        has(refusal(out, {}, "trainer", {input}), "holds a finished run that began from another"));
    std::ofstream(input) << "first";
    CHECK(refusal(out, {}, "trainer", {input}) == "");
    fs::remove(input);  // a finished run does not need it
    CHECK(refusal(out, {}, "trainer", {input}) == "");
    CHECK_THROWS_AS(Run(temporary.path() / "new", {}, "trainer", {input}), Error);
  }

  TEST_CASE("a resumed run keeps its number of threads unless another is given") {
    const TemporaryFolder temporary;
    const fs::path out = temporary.path() / "run";
    const int before = num_threads();
    {
      Run run(out, {"--threads", "3"});
      run.folder->write_header(data);
    }
    set_num_threads(1);
    std::ofstream(out / "last.safetensors") << "a checkpoint";
    {
      Run run(out, {"--resume"});
      CHECK(run.options.common.threads == 3);
      CHECK(num_threads() == 3);
    }
    const Run run(out, {"--resume", "--threads", "2"});
    CHECK(run.options.common.threads == 2);
    set_num_threads(before);
  }

  TEST_CASE("--json is refused before the work where it cannot be written") {
    const TemporaryFolder temporary;
    CHECK(has(refusal("", {"--json", temporary.path().string()}), "is a folder"));
    CHECK(refusal("", {"--json", "/dev/null"}) == "");
    Run run("", {"--json", "/dev/null"});
    run.folder->finish({{"test_accuracy", 1}});
    CHECK(fs::is_character_file("/dev/null"));  // not replaced by a file
  }

  TEST_CASE("a row with a NaN is not correct") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor logits = Tensor::from(std::vector<float>{nan, 1, 2, 0, 5, nan}, {3, 2});
    for (const std::int64_t label : {0, 1}) {
      const Tensor labels = Tensor::from(std::vector<std::int64_t>{label, label, label}, {3});
      CHECK(correct_answers(logits, labels).item() == (label == 0 ? 1 : 0));
    }
  }

  TEST_CASE("times are clamped to what can be said") {
    CHECK(duration(1e300) == duration(1e9));
    CHECK(duration(-1) == "0 s");
    CHECK(duration(std::nan("")) == "0 s");
  }

  TEST_CASE("a run folder or a file stands for a model") {
    const TemporaryFolder temporary;
    CHECK_THROWS_AS(find_model(temporary.path() / "nowhere"), Error);
    CHECK_THROWS_AS(find_model(temporary.path()), Error);
    const fs::path file = temporary.path() / "model.safetensors";
    std::ofstream(file) << "x";
    CHECK(find_model(file) == file);
    CHECK(find_model(temporary.path()) == file);
  }
}
