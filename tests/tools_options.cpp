// Flags, environment, file and defaults: their order, their errors, and the file that a run leaves.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>
#include <initializer_list>
#include <optional>

#include "kernels/check.h"
#include "temporary_folder.h"
#include "tools/runs/options.h"

using namespace understudy;

namespace {

class Environment {  // a variable for the length of a scope
 public:
  Environment(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

struct Program {
  std::vector<std::int64_t> hidden = {7};
  double momentum = 0.5;
  bool nesterov = false;
  Options options{{.name = "program", .summary = "A test.", .example = "program --epochs 3"}};

  Program() {
    options.add("hidden", &hidden, "widths").at_least(1);
    options.add("momentum", &momentum, "momentum").at_least(0).below(1);
    options.add("nesterov", &nesterov, "look ahead");
    options.setting("model").one_of({"mlp", "logistic"});
  }
  void parse(std::initializer_list<const char*> flags) {
    std::vector<const char*> arguments = {"program"};
    arguments.insert(arguments.end(), flags);
    options.parse(static_cast<int>(arguments.size()), arguments.data());
  }
};

// The message of the UsageError, "" when there was none.
std::string message(std::initializer_list<const char*> flags) {
  Program program;
  try {
    program.parse(flags);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string write(const TemporaryFolder& folder, const std::string& text) {
  const auto path = folder.path() / "settings.toml";
  std::ofstream(path) << text;
  return path.string();
}

}  // namespace

TEST_SUITE("tools") {
  TEST_CASE("a flag beats the environment beats the file beats the default") {
    const TemporaryFolder folder;
    const std::string file = write(folder,
                                   "# settings\nepochs = 3\nbatch-size = 30\nlr = 0.3\n"
                                   "hidden = [30, 31]\nnesterov = true\nmodel = \"logistic\"\n");
    const Environment epochs("UNDERSTUDY_EPOCHS", "2"), batch("UNDERSTUDY_BATCH_SIZE", "20"),
        seed("UNDERSTUDY_SEED", "22"), empty("UNDERSTUDY_LR", "");
    Program program;
    program.parse({"--epochs", "1", "--config", file.c_str()});
    CHECK(program.options.common.epochs == 1);       // flag, environment and file
    CHECK(program.options.common.batch_size == 20);  // environment and file
    CHECK(program.options.common.seed == 22);        // environment
    CHECK(program.options.common.lr == 0.3);         // file; an empty variable is none
    CHECK(program.options.common.model == "logistic");
    CHECK(program.hidden == std::vector<std::int64_t>{30, 31});
    CHECK(program.nesterov);
    CHECK(program.momentum == 0.5);  // default
    CHECK(program.options.common.dataset == "mnist");
  }

  TEST_CASE("the environment can name the file, and switch a flag of the file off") {
    const TemporaryFolder folder;
    const std::string file = write(folder, "epochs = 3\nnesterov = true\n");
    const Environment config("UNDERSTUDY_CONFIG", file.c_str()),
        nesterov("UNDERSTUDY_NESTEROV", "false");
    Program program;
    program.parse({});
    CHECK(program.options.common.epochs == 3);
    CHECK_FALSE(program.nesterov);
  }

  TEST_CASE("UNDERSTUDY_DATA_DIR is left to load_dataset and silences the file's data-dir") {
    const TemporaryFolder folder;
    const std::string file = write(folder, "data-dir = \"/from/file\"\n");
    {
      Program program;
      program.parse({"--config", file.c_str()});
      CHECK(program.options.common.data_dir == "/from/file");
    }
    const Environment data_dir("UNDERSTUDY_DATA_DIR", "/from/environment");
    Program program;
    program.parse({"--config", file.c_str()});
    CHECK(program.options.common.data_dir.empty());
  }

  TEST_CASE("impossible values are named with their source and their limits") {
    CHECK(message({"--epochs", "8"}) == "");
    CHECK(message({"--epochs", "0"}) == "--epochs 0: must be at least 1, at most 1000000");
    CHECK(has(message({"--epochs", "1000001"}), "at most 1000000"));
    CHECK(has(message({"--epochs", "ten"}), "--epochs 'ten': expected a whole number"));
    CHECK(has(message({"--epochs", "3.5"}), "expected a whole number"));
    CHECK(has(message({"--epochs", "99999999999999999999"}), "too large"));
    CHECK(has(message({"--seed", "-1"}), "expected a whole number"));
    CHECK(has(message({"--lr", "nan"}), "must be above 0"));
    CHECK(has(message({"--lr", "0"}), "must be above 0"));
    CHECK(has(message({"--lr", "inf"}), "must be above 0"));
    CHECK(has(message({"--momentum", "1"}), "must be at least 0, below 1"));
    CHECK(has(message({"--hidden", "10,,20"}), "whole numbers with commas"));
    CHECK(has(message({"--hidden", "10,"}), "ends with a comma"));
    CHECK(has(message({"--hidden", "10,0"}), "must be at least 1"));
    CHECK(message({"--model", "resnet"}) == "--model 'resnet': must be one of mlp, logistic");
    CHECK(has(message({"--device", "tpu"}), "tpu"));
    CHECK(has(message({"--device", "cuda:63"}), "device 'cuda:63' was asked for, but"));
    const Environment lr("UNDERSTUDY_LR", "fast");
    CHECK(has(message({}), "UNDERSTUDY_LR 'fast': expected a number"));
  }

  TEST_CASE("unknown flags and arguments get a hint") {
    CHECK(message({"--epoch", "8"}) == "unknown flag --epoch; did you mean --epochs?");
    CHECK(message({"--epoch=8"}) == "unknown flag --epoch=8; did you mean --epochs?");
    CHECK(message({"--frobnicate"}) == "unknown flag --frobnicate");
    CHECK(has(message({"mnist"}), "unexpected argument 'mnist'"));
    CHECK(has(message({"--epochs"}), "--epochs"));
  }

  TEST_CASE("the file: unknown keys, sections, repeated keys, bad values, no file") {
    const TemporaryFolder folder;
    const auto with = [&](const std::string& text) {
      const std::string file = write(folder, text);
      return message({"--config", file.c_str()});
    };
    CHECK(with("") == "");
    CHECK(with("# all defaults\n\nepochs = 3  # three\nhidden = []\nout = \"\"\n") == "");
    CHECK(has(with("epoch = 3\n"), "settings.toml: unknown key \"epoch\"; did you mean epochs?"));
    CHECK(has(with("config = \"other.toml\"\n"), "unknown key \"config\""));
    CHECK(has(with("[training]\nepochs = 3\n"), "section \"training\""));
    CHECK(has(with("epochs = 3\nepochs = 4\n"), "epochs has 2 values, expected one"));
    CHECK(has(with("out = \"a\"\nout = \"b\"\n"), "out has 2 values"));
    CHECK(has(with("epochs = 0 # none\n"), "epochs in "));
    CHECK(has(with("epochs = 0\n"), "epochs in "));
    CHECK(has(with("epochs = 0\n"), "must be at least 1"));
    CHECK(has(message({"--config", folder.path().c_str()}), "is no regular file"));
    CHECK(has(with("\xff\xfe\x1b = 1\n"), "unknown key \"\\ufffd\\ufffd\\u001b\""));
    CHECK(has(message({"--config", "/nowhere/at/all.toml"}), "/nowhere/at/all.toml"));
  }

  TEST_CASE("what toml() writes reads back as the same settings") {
    const TemporaryFolder folder;
    Program first;
    first.parse({"--lr", "0.1234567890123456789", "--hidden", "5,6", "--out",
                 "some \"quoted\" folder", "--nesterov", "--seed", "18446744073709551615",
                 "--threads", "1", "--quiet"});
    const std::string file = write(folder, first.options.toml());
    Program second;
    second.parse({"--config", file.c_str()});
    CHECK(second.options.toml() == first.options.toml());
    CHECK(second.options.identity() == first.options.identity());
    CHECK(second.options.common.seed == 18446744073709551615u);
    CHECK(second.options.common.out == first.options.common.out);
    CHECK_FALSE(second.options.common.quiet);  // belongs to one call
  }

  TEST_CASE("the identity of a run has what changes its result and nothing else") {
    Program program;
    program.parse({});
    const auto identity = program.options.identity();
    for (const char* name : {"dataset", "model", "epochs", "batch-size", "lr", "seed", "hidden"})
      CHECK(identity.contains(name));
    for (const char* name : {"out", "resume", "config", "json", "quiet", "threads", "data-dir"})
      CHECK_FALSE(identity.contains(name));
  }

  TEST_CASE("a program without a common flag does not know it") {
    Options options({.name = "merge"}, {}, {"model", "lr"});
    const char* arguments[] = {"merge", "--lr", "1"};
    CHECK_THROWS_WITH_AS(options.parse(3, arguments), "unknown flag --lr", UsageError);
  }
}
