// From settings to runs, and what is made of folders that are there.
#include <doctest/doctest.h>

#include "error_text.h"
#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/plan.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;

namespace {

const nlohmann::json code_settings = {
    {"dataset", "mnist"}, {"k", 2}, {"encoder", "mlp"},     {"loss", "mse"},
    {"seed", 1},          {"r", 1}, {"weight-decay", 1e-5}, {"base", "base-mnist-mlp-seed1"}};
const nlohmann::json base_settings = {
    {"dataset", "mnist"}, {"model", "mlp"}, {"seed", 1}, {"hidden", {200, 100}}};
constexpr const char* code_folder = "code-mnist-mlp-k2-r1-mlp-mse-seed1";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("folders are named by what is in them") {
    CodeSetting setting = small_setting();
    CHECK(folder_of(setting.base) == "base-mnist-mlp-seed1");
    CHECK(folder_of(setting) == code_folder);
    CHECK(folder_of(setting, 30) == "code-mnist-mlp-k2-r1-mlp-mse-epochs30-seed1");
    setting.base.dataset = "cifar-10";
    setting.base.model = "resnet18";
    setting.base.width = 16;
    setting.base.seed = 3;
    setting.channels = "interleaved";
    setting.flags = {{"augment", "none"}};
    CHECK(folder_of(setting.base) == "base-cifar-10-resnet18w16-seed3");
    CHECK(folder_of(setting) ==
          "code-cifar-10-resnet18w16-k2-r1-mlp-mse-interleaved-augment-none-seed3");
    CodeSetting parity = small_setting();
    parity.code = "parity-sum";
    parity.encoder = "";
    CHECK(folder_of(parity) == "code-mnist-mlp-k2-r1-parity-sum-seed1");
    parity.codes = {"none"};
    CHECK(folder_of(parity) == "codes-mnist-mlp-seed1");
    parity.label = "few";
    CHECK(folder_of(parity) == "codes-mnist-mlp-few-seed1");
  }

  TEST_CASE("base models are shared and come first; commands have what determines the result") {
    const TemporaryFolder out;
    std::vector<CodeSetting> settings = {small_setting(), small_setting(), small_setting(),
                                         small_setting()};
    settings[0].base.flags = settings[1].base.flags = settings[3].base.flags = {{"hidden", "9"}};
    settings[1].k = 5;
    settings[1].r = 2;
    settings[2].base.dataset = "fashion-mnist";
    settings[3].codes = {"none", "berrut"};
    settings[3].ks = {2, 3};
    settings[3].rs = {1};
    const Plan plan = make_plan(settings_of(settings), out.path());
    REQUIRE(plan.jobs.size() == 6);
    CHECK(plan.of_setting == std::vector<std::size_t>{1, 2, 4, 5});
    for (const auto& [job, base] : {std::pair{1, 0}, {2, 0}, {4, 3}, {5, 0}})
      CHECK(plan.jobs[job].after == std::vector<std::size_t>{static_cast<std::size_t>(base)});
    CHECK(plan.to_run() == 6);
    CHECK(plan.jobs[0].command() ==
          "train_classifier --dataset mnist --model mlp --hidden 9 --epochs 8 --seed 1 --out "
          "base-mnist-mlp-seed1");
    CHECK(plan.jobs[2].command() ==
          "train_code --dataset mnist --k 5 --r 2 --encoder mlp --base base-mnist-mlp-seed1 --loss "
          "mse --epochs 10 --seed 1 --out code-mnist-mlp-k5-r2-mlp-mse-seed1");
    CHECK(plan.jobs[5].command() ==
          "compare_codes --dataset mnist --codes none,berrut --k 2,3 --r 1 --base "
          "base-mnist-mlp-seed1 --seed 1 --out codes-mnist-mlp-seed1");
    // Neither loss nor seed makes a run longer.
    settings[1] = settings[0];
    settings[1].loss = "kl";
    const Plan same = make_plan({settings[0], settings[1]}, out.path());
    CHECK(same.jobs[1].kind == same.jobs[2].kind);
    CHECK(same.jobs[1].kind != plan.jobs[2].kind);
    CHECK(has(make_plan(settings_of(settings), out.path(), {.device = "cuda", .precision = "tf32"})
                  .jobs[1]
                  .command(),
              "--device cuda --precision tf32"));
  }

  TEST_CASE("one folder for two different runs is refused") {
    const TemporaryFolder out;
    CodeSetting first = small_setting(), second = small_setting();
    CHECK(make_plan({first, second}, out.path()).jobs.size() == 2);
    second.base.epochs = 9;
    CHECK_THROWS_AS(make_plan({first, second}, out.path()), UsageError);
    second = first;
    second.epochs = 11;
    const auto text = error_text([&] { make_plan({first, second}, out.path()); });
    CHECK(has(text, "is asked for twice"));
  }

  TEST_CASE("what is finished is not run again, and its base model neither") {
    const TemporaryFolder out;
    const std::vector<Setting> settings = {small_setting()};
    make_run(out.path() / code_folder, "train_code", 10, 4, code_settings);
    CHECK(make_plan(settings, out.path()).to_run() == 2);  // unfinished: goes on
    make_run(out.path() / code_folder, "train_code", 10, 10, code_settings);
    const Plan plan = make_plan(settings, out.path());
    CHECK(plan.to_run() == 0);
    CHECK_FALSE(plan.jobs[0].needed);
    CHECK(plan.jobs[1].finished());
    CHECK(plan.jobs[1].before.epochs_done == 10);
    CHECK(plan.jobs[1].before.seconds == 20);
  }

  TEST_CASE("other epochs: more will do, fewer get a folder beside them") {
    const TemporaryFolder out;
    CodeSetting setting = small_setting();
    const auto folder = [&] { return make_plan({setting}, out.path()).jobs[1].folder; };
    make_run(out.path() / code_folder, "train_code", 10, 10, code_settings);
    setting.epochs = 6;
    CHECK(folder() == code_folder);
    CHECK(make_plan({setting}, out.path()).to_run() == 0);
    setting.epochs = 60;
    const std::string longer = "code-mnist-mlp-k2-r1-mlp-mse-epochs60-seed1";
    CHECK(folder() == longer);
    CHECK(best_folder_of(setting, out.path()) == code_folder);
    make_run(out.path() / longer, "train_code", 60, 20, code_settings);
    CHECK(folder() == longer);
    CHECK(best_folder_of(setting, out.path()) == code_folder);  // the other is not finished
    make_run(out.path() / longer, "train_code", 60, 60, code_settings);
    CHECK(best_folder_of(setting, out.path()) == longer);
    setting.epochs = 30;
    CHECK(folder() == longer);
    // An unfinished run of other epochs is somebody else's.
    setting.loss = "kl";
    make_run(out.path() / "code-mnist-mlp-k2-r1-mlp-kl-seed1", "train_code", 10, 4, code_settings);
    CHECK(folder() == "code-mnist-mlp-k2-r1-mlp-kl-epochs30-seed1");
    CHECK(best_folder_of(setting, out.path()).empty());
  }

  TEST_CASE("a finished folder that holds another run is refused") {
    const TemporaryFolder out;
    CodeSetting setting = small_setting();
    setting.flags = {{"weight-decay", "0.00001"}};
    setting.base.flags = {{"hidden", "200,100"}, {"nesterov", ""}};
    const std::string name = folder_of(setting);
    nlohmann::json base = base_settings;
    base["nesterov"] = true;
    make_run(out.path() / "base-mnist-mlp-seed1", "train_classifier", 8, 8, base);
    make_run(out.path() / name, "train_code", 10, 10, code_settings);
    CHECK(make_plan({setting}, out.path()).to_run() == 0);

    nlohmann::json other = code_settings;
    other["loss"] = "kl";
    make_run(out.path() / name, "train_code", 10, 10, other);
    const auto text = error_text([&] { make_plan({setting}, out.path()); });
    CHECK(has(text, name));
    CHECK(has(text, "loss = \"kl\", this one has mse"));
    make_run(out.path() / name, "merge_models", 10, 10, code_settings);
    CHECK(has(error_text([&] { make_plan({setting}, out.path()); }), "a run of merge_models"));

    make_run(out.path() / name, "train_code", 10, 10, code_settings);
    base["hidden"] = {200, 50};
    make_run(out.path() / "base-mnist-mlp-seed1", "train_classifier", 8, 8, base);
    CHECK(has(error_text([&] { make_plan({setting}, out.path()); }), "hidden = [200,50]"));

    // What the run was given and this one is not, but for what goes without saying.
    const auto base_folder = out.path() / "base-mnist-mlp-seed1";
    base["hidden"] = {200, 100};
    const auto given = [&](const std::string& command) {
      make_run(base_folder, "train_classifier", 8, 8, base);
      nlohmann::json header = nlohmann::json::parse(std::ifstream(base_folder / "header.json"));
      header["command"] = command;
      write_text(base_folder / "header.json", header.dump());
      return error_text([&] { make_plan({setting}, out.path()); });
    };
    const std::string usual = "train_classifier --hidden 200,100 --nesterov --threads 2 --quiet";
    CHECK(given(usual + " --data-dir=/somewhere --workers 0") == "(no error)");
    base["clip"] = 1.0;
    CHECK(has(given(usual + " --clip 1"), "clip = 1.0, of which this one says nothing"));
    base.erase("clip");
    base["width"] = 0;
    base["batch-size"] = 128;
    CHECK(given(usual + " --width 0 --batch-size 128") == "(no error)");
    base["batch-size"] = 64;
    CHECK(has(given(usual + " --batch-size 64"), "batch-size = 64"));
    CHECK(has(given(usual + " --config some.toml"), "batch-size = 64"));  // it stood in there
    base["batch-size"] = 128;
    CHECK(given("train_classifier --config some.toml") == "(no error)");
    setting.base.flags.pop_back();
    CHECK(has(given(usual), "nesterov = true, of which this one says nothing"));
    setting.base.flags.clear();
    base["nesterov"] = false;
    CHECK(has(given(usual), "hidden = [200,100], of which this one says nothing"));
    base["hidden"] = nlohmann::json::array();
    CHECK(given(usual) == "(no error)");

    // A folder of several data sets is another program's, not damaged.
    nlohmann::json merged = {{"program", "merge_models"}, {"dataset", {{{"name", "mnist"}}}}};
    write_text(base_folder / "header.json", merged.dump());
    CHECK(has(error_text([&] { make_plan({setting}, out.path()); }), "a run of merge_models"));
  }

  TEST_CASE("a damaged file of a folder is named") {
    const TemporaryFolder out;
    write_text(out.path() / code_folder / "header.json", "{\"settings\": ");
    const auto text = error_text([&] { make_plan({small_setting()}, out.path()); });
    CHECK(has(text, "header.json"));
    CHECK(has(text, "damaged"));
    struct Case {
      std::string header, message;
    };
    for (const Case& wrong : std::vector<Case>{
             {"{\"settings\": []}", "header.json: settings: expected an object, found []"},
             {"{\"settings\": {\"epochs\": \"x\"}}",
              "header.json: settings: epochs: expected a whole number, found \"x\""},
             {"{\"command\": 3}", "header.json: command: expected a text, found 3"},
             {"{\"dataset\": {\"base\": {\"model\": 1}}}",
              "header.json: dataset: base: model: expected a text"},
             {"[1]", "header.json: expected a JSON object, found array"}}) {
      write_text(out.path() / code_folder / "header.json", wrong.header);
      const auto message = error_text([&] { make_plan({small_setting()}, out.path()); });
      CHECK_MESSAGE(has(message, code_folder), message);
      CHECK_MESSAGE(has(message, wrong.message), message);
    }
    make_run(out.path() / code_folder, "train_code", 10, 10, code_settings);
    write_text(out.path() / code_folder / "metrics.jsonl", "{\"epoch\": 1}\n{\"epoch\": [2]}\n");
    CHECK(has(error_text([&] { make_plan({small_setting()}, out.path()); }),
              "metrics.jsonl:2: epoch: expected a whole number, found [2]"));
  }
}
