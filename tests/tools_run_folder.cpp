// What --out accepts, and what is left in it.
#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "kernels/check.h"
#include "temporary_folder.h"
#include "tools/runs/run_folder.h"

using namespace understudy;
namespace fs = std::filesystem;

namespace {

const nlohmann::json data = {{"name", "mnist"}, {"train", 10}};

struct Run {
  Options options;
  std::unique_ptr<RunFolder> folder;
  Run(const fs::path& out, std::vector<std::string> flags, const char* program = "trainer")
      : options({.name = program}) {
    flags.insert(flags.begin(), {program, "--out", out.string()});
    std::vector<const char*> arguments;
    for (const std::string& flag : flags) arguments.push_back(flag.c_str());
    options.parse(static_cast<int>(arguments.size()), arguments.data());
    folder = std::make_unique<RunFolder>(options);
  }
};

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string refusal(const fs::path& out, std::vector<std::string> flags,
                    const char* program = "trainer") {
  try {
    const Run run(out, std::move(flags), program);
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
    Run again(out, {"--epochs", "3", "--json", json.string()});
    CHECK(again.folder->state() == RunFolder::State::finished);
    CHECK(again.folder->repeat_result()["test_accuracy"] == 0.975);
    CHECK(read(json) == read(out / "result.json"));
    CHECK(nlohmann::json::parse(read(json))["program"] == "trainer");
    CHECK(has(refusal(out, {"--epochs", "5"}),
              "holds a finished run with other settings (epochs 3, now 5)"));
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
