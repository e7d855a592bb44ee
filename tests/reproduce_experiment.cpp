// Experiments as files: what they say in the end, and what is said of a file that is wrong.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "error_text.h"
#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/experiment.h"
#include "tools/reproduce/named_experiments.h"
#include "tools/reproduce/plan.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;

namespace {

const std::string head = "title = \"a title\"\n[base.mlp]\nepochs = 4\n";

Experiment parsed(const std::string& text, const Overrides& overrides = {}) {
  const TemporaryFolder folder;
  write_text(folder.path() / "some.toml", text);
  return read_experiment(folder.path() / "some.toml", overrides);
}

std::vector<std::string> texts(const Experiment& experiment) {
  std::vector<std::string> all;
  for (const Setting& setting : experiment.settings) all.push_back(text_of(setting));
  return all;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("the paper's experiment has its 60 settings over 5 base models") {
    const Experiment paper = read_experiment(find_experiment("learning-a-code"));
    CHECK(paper.name == "learning-a-code");
    CHECK(paper.settings.size() == 60);
    std::set<std::string> different, bases;
    for (const CodeSetting& setting : codes_of(paper.settings)) {
      different.insert(setting.text());
      bases.insert(folder_of(setting.base));
      CHECK(setting.epochs == (setting.base.dataset == "cifar-10" ? 2000 : 500));
      CHECK(setting.epochs_published == setting.epochs);
      CHECK(setting.base.width == 0);
      CHECK(setting.r == 1);
    }
    CHECK(different.size() == 60);
    CHECK(bases.size() == 5);
    CHECK(text_of(paper.settings.front()) == "mnist mlp k=2 r=1 learned mlp mse aligned");
    const auto figure = paper.published.at(1);
    CHECK(figure.at("metric") == "test_recovery_accuracy");
    CHECK(figure.at("value") == 0.9887);
    CHECK_FALSE(figure.contains("k"));  // not known
  }

  TEST_CASE("every experiment with a name can be read and planned") {
    const TemporaryFolder out;
    const auto files = named_experiments();
    std::set<std::string> names;
    for (const auto& file : files) {
      CAPTURE(file.string());
      const Experiment experiment = read_experiment(file);
      names.insert(experiment.name);
      CHECK(make_plan(experiment.settings, out.path()).jobs.size() > experiment.settings.size());
    }
    for (const char* name : {"learning-a-code", "parity-models", "training-free", "channel-layout",
                             "redundancy", "seeds", "quick", "cpu"})
      CHECK(names.contains(name));
    const std::string text = error_text([] { find_experiment("learning"); });
    CHECK(has(text, "no experiment \"learning\""));
    CHECK(has(text, "learning-a-code"));
    CHECK(has(error_text([] { find_experiment("none.toml"); }), "none.toml"));
  }

  TEST_CASE("lists are multiplied, the last one written varies fastest") {
    const auto experiment = parsed(head +
                                   "[[grid]]\nbase = \"mlp\"\nk = [2, 5]\ndataset = \"mnist\"\n"
                                   "loss = [\"kl\", \"mse\"]\nepochs = 9\nvalidation = 500\n"
                                   "[[comparison]]\nbase = \"mlp\"\ndataset = \"mnist\"\n"
                                   "codes = [\"none\", \"replication\"]\nk = [2, 3]\nr = 1\n"
                                   "[[grid]]\nbase = \"mlp\"\ndataset = \"mnist\"\nepochs = 2\n"
                                   "code = \"parity-sum\"\n");
    CHECK(texts(experiment) ==
          std::vector<std::string>{"mnist mlp k=2 r=1 learned mlp kl aligned validation=500",
                                   "mnist mlp k=2 r=1 learned mlp mse aligned validation=500",
                                   "mnist mlp k=5 r=1 learned mlp kl aligned validation=500",
                                   "mnist mlp k=5 r=1 learned mlp mse aligned validation=500",
                                   "mnist mlp k=2,3 r=1 without training: none,replication",
                                   "mnist mlp k=2 r=1 parity-sum mse aligned"});
    const CodeSetting first = codes_of(experiment.settings).front();
    CHECK(first.epochs == 9);
    CHECK(first.epochs_published == 0);
    CHECK(first.flags.at(0).name == "validation");
    CHECK(first.flags.at(0).value == "500");
    CHECK(first.base.epochs == 4);
    CHECK(codes_of(experiment.settings)[4].ks == std::vector<std::int64_t>{2, 3});
  }

  TEST_CASE("a recipe has other values on a data set, and may stand in a shared file") {
    const TemporaryFolder folder;
    write_text(folder.path() / "shared" / "bases.toml",
               "[base.mlp]\nepochs = 7\n[base.resnet18]\nepochs = 5\nlr = 0.1\nnesterov = true\n"
               "no-batch-norm = false\nhidden = [3, 4]\n"
               "[base.resnet18.cifar-10]\nepochs = 15\nlr = 0.2\n");
    write_text(folder.path() / "some.toml",
               "title = \"t\"\nbase-models = \"shared/bases.toml\"\n[base.mlp]\nepochs = 4\n"
               "[[grid]]\nbase = [\"mlp\", \"resnet18\"]\ndataset = [\"mnist\", \"cifar-10\"]\n"
               "epochs = 1\n");
    const auto experiment = read_experiment(folder.path() / "some.toml");
    const auto settings = codes_of(experiment.settings);
    REQUIRE(settings.size() == 4);
    CHECK(settings[0].base.epochs == 4);  // its own comes first
    CHECK(settings[2].base.epochs == 5);
    CHECK(settings[3].base.epochs == 15);
    const auto flags = [](const BaseModel& base) {
      std::string text;
      for (const Flag& flag : base.flags) text += flag.name + "=" + flag.value + " ";
      return text;
    };
    CHECK(flags(settings[2].base) == "hidden=3,4 lr=0.1 nesterov= ");
    CHECK(flags(settings[3].base) == "hidden=3,4 lr=0.2 nesterov= ");

    // The file's identity is that of both.
    const std::string before = experiment.sha256;
    write_text(folder.path() / "shared" / "bases.toml",
               "[base.mlp]\n[base.resnet18]\nepochs = 6\n");
    CHECK(read_experiment(folder.path() / "some.toml").sha256 != before);
  }

  TEST_CASE("the command line's seeds, width and epochs go before the file's") {
    const std::string text =
        "title = \"t\"\n[base.mlp]\n[base.resnet18]\nwidth = 32\n"
        "[[grid]]\nseed = [7, 8]\nbase = [\"mlp\", \"resnet18\"]\n"
        "dataset = \"mnist\"\npublished-epochs = 500\n";
    const auto plain = codes_of(parsed(text).settings);
    REQUIRE(plain.size() == 4);
    CHECK(plain[0].base.seed == 7);
    CHECK(plain[1].base.width == 32);
    CHECK(plain[2].base.seed == 8);
    CHECK(plain[2].epochs == 500);

    const auto other =
        codes_of(parsed(text, {.seeds = {1, 2, 3}, .width = 16, .most_epochs = 2}).settings);
    REQUIRE(other.size() == 6);
    CHECK(other[1].base.label() == "resnet18w16");
    CHECK(other[0].base.label() == "mlp");
    CHECK(other[1].base.seed == 1);  // all of a seed before the next
    CHECK(other[2].base.seed == 2);
    CHECK(other[0].epochs == 2);
    CHECK(other[0].least_epochs == 2);
    CHECK(other[0].epochs_published == 500);
  }

  TEST_CASE("errors name file, line, key and what was expected") {
    struct Case {
      std::string text;
      std::vector<std::string> parts;  // of the message
    };
    const std::string grid = "[[grid]]\nbase = \"mlp\"\ndataset = \"mnist\"\nepochs = 2\n";
    for (const Case& wrong : std::vector<Case>{
             {"title = \"t\"\n[[grid]\n", {"some.toml:2: "}},
             {head, {"some.toml", "no [[grid]]"}},
             {"[base.mlp]\n" + grid, {"title is missing"}},
             {fmt::format("{}colour = 1\n{}", head, grid),
              {"some.toml:4: ", "unknown key colour", "epochs"}},
             {head + grid + "epoch = 3\n", {"some.toml:8: grid: unknown key epoch", "epochs"}},
             {head + grid + "k = [2, 0]\n", {"some.toml:8: grid: k = ", "from 1 to 32"}},
             {head + grid + "k = [2, \"x\"]\n", {"k = ", "whole numbers"}},
             {head + grid + "k = 2.5\n", {"k = 2.5", "whole numbers"}},
             {head + grid + "k = 33\n", {"k = 33", "from 1 to 32"}},
             {head + grid + "r = 9\n", {"r = 9", "from 1 to 8"}},
             {head + grid + "batch-size = \"x\"\n", {"some.toml:8: grid: batch-size = ", "whole"}},
             {head + grid + "batch-size = [20, 30]\n", {"grid: batch-size = ", "whole numbers"}},
             {head + grid + "validation = 0\n", {"grid: validation = 0", "from 1 to "}},
             {head + "batch-size = 0\n" + grid, {":4: base.mlp: batch-size = 0", "from 1 to "}},
             {head + "hidden = [20, -3]\n" + grid, {":4: base.mlp: hidden = ", "widths"}},
             {head + "[[comparison]]\nbase = \"mlp\"\ndataset = \"mnist\"\ncodes = \"all\"\n"
                     "k = 2\nr = 0\n",
              {"comparison: r = 0", "from 1 to 8"}},
             {head + grid + "k = []\n", {"at least one value"}},
             {head + grid + "loss = \"l1\"\n", {":8: grid: loss = ", "l1", "mse, kl, xent"}},
             {head + grid + "encoder = \"cnn\"\n", {"encoder = ", "mlp, conv"}},
             {head + grid + "channels = \"mixed\"\n", {"aligned, interleaved"}},
             {head + grid + "code = \"parity\"\n", {"parity-sum, parity-concat"}},
             {head + grid + "code = \"parity-sum\"\nencoder = \"mlp\"\n", {"only where code is"}},
             {head + "[[grid]]\nbase = \"mlp\"\n", {"some.toml:4: grid: dataset is missing"}},
             {head + "[[grid]]\nbase = \"mlp\"\ndataset = \"mnist\"\n", {"epochs is missing"}},
             {head + "[[grid]]\nbase = \"mlp\"\ndataset = \"imagenet\"\n",
              {"mnist, fashion-mnist"}},
             {head + "[[grid]]\nbase = \"resnet18\"\ndataset = \"mnist\"\n", {"[base.resnet18]"}},
             {head + "[grid]\nbase = \"mlp\"\n", {"[[grid]]"}},
             {head + "[[comparison]]\nbase = \"mlp\"\ndataset = \"mnist\"\nk = 2\nr = 1\n",
              {"codes is missing"}},
             {head + "[[comparison]]\nbase = \"mlp\"\ndataset = \"mnist\"\nk = 2\nr = 1\n"
                     "codes = \"reed-solomon\"\n",
              {"codes = ", "replication"}},
             {"title = \"t\"\nbase-models = \"none.toml\"\n" + grid, {"none.toml: cannot be read"}},
             {"title = \"t\"\n[base.mlp]\nepochs = 0\n" + grid,
              {"some.toml:3: base.mlp: epochs = 0", "at least 1"}},
             {head + grid + "[[published]]\nmetric = \"x\"\n", {"published: value is missing"}},
         }) {
      const std::string error = error_text([&] { parsed(wrong.text); });
      for (const std::string& part : wrong.parts) CHECK_MESSAGE(has(error, part), error);
    }
    CHECK_THROWS_AS(read_experiment("/nowhere/some.toml"), UsageError);
  }
}
