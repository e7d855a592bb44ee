// Codes over models in experiments: what a file says of them, and their runs.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "error_text.h"
#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/merge_choices.h"
#include "tools/reproduce/named_experiments.h"
#include "tools/reproduce/outlook.h"
#include "tools/reproduce/plan.h"
#include "tools/reproduce/selection.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;
using nlohmann::json;

namespace {

const std::string head =
    "title = \"a title\"\n"
    "[start.mlp]\nhidden = [40, 40]\nepochs = 5\n"
    "[fine-tune.mlp]\nhidden = [40, 40]\nepochs = 3\n[fine-tune.mlp.mnist]\nlr = 0.01\n";
const std::string section =
    "[[merge]]\ntasks = [\"mnist\", \"fashion-mnist\"]\nstart = \"cifar-10-grey28\"\n"
    "initialisation = \"pretrained\"\nbase = \"mlp\"\nmethods = [\"average\", \"coin+refit\"]\n";
constexpr const char* merge_folder = "merge-mnist+fashion-mnist-mlp-pretrained-seed1";

Experiment parsed(const std::string& text, const Overrides& overrides = {}) {
  const TemporaryFolder folder;
  write_text(folder.path() / "some.toml", text);
  return read_experiment(folder.path() / "some.toml", overrides);
}

std::vector<MergeSetting> merges_in(const Experiment& experiment) {
  std::vector<MergeSetting> merges;
  for (const reproduce::Setting& setting : experiment.settings)
    merges.push_back(std::get<MergeSetting>(setting));
  return merges;
}

std::vector<std::string> folders_of(const Plan& plan) {
  std::vector<std::string> folders;
  for (const Job& job : plan.jobs) folders.push_back(job.folder);
  return folders;
}

std::string replaced(std::string text, const std::string& part, const std::string& by) {
  return text.replace(text.find(part), part.size(), by);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("a merge is of fine-tuned models, or of models that begin at random") {
    const auto merges = merges_in(parsed(
        head + replaced(section, "\"pretrained\"", "[\"pretrained\", \"same\", \"independent\"]") +
        "seed = [1, 2]\npoints = [100, 1000]\ndamping = [0, 0.01]\nweights = [0.3, 0.7]\n"
        "label = \"few\"\n"));
    REQUIRE(merges.size() == 6);
    const MergeSetting& first = merges[0];
    CHECK(first.text() ==
          "mnist+fashion-mnist mlp pretrained on cifar-10-grey28, few weights=0.3,0.7");
    CHECK(first.methods == std::vector<std::string>{"average", "coin+refit"});
    REQUIRE(first.start);
    CHECK(first.start->epochs == 5);
    CHECK(first.models.at(0).epochs == 3);
    CHECK(first.models[0].flags.size() == 2);  // hidden, and lr on this data set
    CHECK(first.models.at(1).flags.size() == 1);
    CHECK(merges[1].seed == 2);
    CHECK(merges[1].models[0].seed == 2);
    CHECK(merges[2].initialisation == "same");
    CHECK_FALSE(merges[2].start);
    CHECK(merges[2].models[1].epochs == 5);
    CHECK(merges[2].models[1].seed == 1);
    CHECK(merges[5].models[0].seed == 2);
    CHECK(merges[5].models[1].seed == 1002);

    const MergeChoices choices = merge_choices(first);
    CHECK(choices.points == std::vector<std::int64_t>{100, 1000});
    CHECK(choices.method == "average,coin+refit");
    CHECK(choices.damping == "0,0.01");
    CHECK(choices.weights == "0.3,0.7");
    CHECK(merge_cases(choices).size() == 1 + 2 * 2);  // the average looks at nothing

    const auto narrow = merges_in(parsed(
        replaced(head, "[start.mlp]", "[start.resnet18]\n[fine-tune.resnet18]\n[start.mlp]") +
            replaced(section, "\"mlp\"", "[\"resnet18\", \"mlp\"]"),
        {.seeds = {7}, .width = 8}));
    REQUIRE(narrow.size() == 2);
    CHECK(narrow[0].models[1].label() == "resnet18w8");
    CHECK(narrow[0].start->label() == "resnet18w8");
    CHECK(narrow[1].models[0].label() == "mlp");
    CHECK(narrow[0].seed == 7);
  }

  TEST_CASE("what is wrong with a merge is said with file, line and key") {
    struct Case {
      std::string text;
      std::vector<std::string> parts;  // of the message
    };
    const auto other = [&](const std::string& part, const std::string& by) {
      return head + replaced(section, part, by);
    };
    for (const Case& wrong : std::vector<Case>{
             {other("tasks = [\"mnist\", \"fashion-mnist\"]\n", ""), {":10: merge: tasks is miss"}},
             {other("[\"mnist\", \"fashion-mnist\"]", "\"mnist\""),
              {":11: merge: tasks", "2 to 8"}},
             {other("\"fashion-mnist\"]", "\"emnist\"]"), {":11: merge: tasks", "cifar-10"}},
             {other("\"fashion-mnist\"]", "\"mnist\"]"), {":11: merge: tasks", "different ones"}},
             {other("\"cifar-10-grey28\"", "\"mnist\""),
              {":12: merge: start", "none of the tasks"}},
             {other("start = \"cifar-10-grey28\"\n", ""), {"start is missing: expected mnist"}},
             {other("\"pretrained\"", "\"equal\""), {":13: merge: initialisation", "independent"}},
             {other("initialisation = \"pretrained\"\n", ""), {"initialisation is missing"}},
             {other("\"pretrained\"", "\"same\""), {":12: merge: start", "only where"}},
             {other("\"mlp\"", "\"logistic\""), {":14: merge: base", "no [start.logistic]"}},
             {other("\"coin+refit\"", "\"coin+\""),
              {":15: merge: methods: ", "step of it is empty"}},
             {other("\"coin+refit\"", "\"refit+coin\""), {":15: merge: methods: ", "would undo"}},
             {replaced(replaced(other("start = \"cifar-10-grey28\"\n", ""), "\"pretrained\"",
                                "\"same\""),
                       "\"average\"", "\"ties\""),
              {":14: merge: methods: ", "ties needs --start"}},
             {head + section + "points = [100, 0]\n", {":16: merge: points", "from 1 to"}},
             {head + section + "fisher = \"diagonal\"\n", {":16: merge: fisher: ", "gaussian"}},
             {head + section + "fisher-data = [\"own\", \"all\"]\n", {":16: merge: fisher-data: "}},
             {head + section + "damping = -1\n", {":16: merge: damping: ", "0 or more"}},
             {head + section + "weights = [1, 2, 3]\n",
              {":16: merge: weights: ", "3 weights for 2"}},
             {head + section + "distill-epochs = 0\n", {":16: merge: distill-epochs = 0"}},
             {head + section + "points-per-task = 3\n",
              {":16: merge: unknown key points-per-task"}},
             {head + section + "seed = -1\n", {":16: merge: seed = -1"}},
             {replaced(head, "epochs = 3", "epoch = 3") + section,
              {":7: fine-tune.mlp: unknown key epoch"}},
             {replaced(head, "\n", "\nnotes = [\"a\", 3]\n") + section,
              {":2: experiment: notes = ", "texts"}},
             {head + "[merge]\ntasks = 1\n", {"[[merge]], with two brackets"}}}) {
      const std::string error = error_text([&] { parsed(wrong.text); });
      for (const std::string& part : wrong.parts) CHECK_MESSAGE(has(error, part), error);
    }
  }

  TEST_CASE("a merge comes after its models, these after their start, all of them shared") {
    const TemporaryFolder out;
    MergeSetting other = small_merge();
    other.models[1].dataset = "mnist-rotated";
    const Plan plan = make_plan({small_merge(), other}, out.path());
    CHECK(folders_of(plan) ==
          std::vector<std::string>{
              "start-cifar-10-grey28-mlp-seed1", "tuned-mnist-mlp-from-cifar-10-grey28-seed1",
              "tuned-fashion-mnist-mlp-from-cifar-10-grey28-seed1", merge_folder,
              "tuned-mnist-rotated-mlp-from-cifar-10-grey28-seed1",
              "merge-mnist+mnist-rotated-mlp-pretrained-seed1"});
    CHECK(plan.of_setting == std::vector<std::size_t>{3, 5});
    CHECK(plan.jobs[1].after == std::vector<std::size_t>{0});
    CHECK(plan.jobs[3].after == std::vector<std::size_t>{0, 1, 2});
    CHECK(plan.jobs[5].after == std::vector<std::size_t>{0, 1, 4});
    CHECK(plan.to_run() == 6);
    CHECK(plan.jobs[2].command() ==
          "train_classifier --dataset fashion-mnist --model mlp --init "
          "start-cifar-10-grey28-mlp-seed1 --epochs 3 --seed 1 --out "
          "tuned-fashion-mnist-mlp-from-cifar-10-grey28-seed1");
    CHECK(plan.jobs[3].command() ==
          "merge_models --datasets mnist,fashion-mnist --method average,coin --points 100,1000 "
          "--models tuned-mnist-mlp-from-cifar-10-grey28-seed1,"
          "tuned-fashion-mnist-mlp-from-cifar-10-grey28-seed1 --start "
          "start-cifar-10-grey28-mlp-seed1 --seed 1 --out "
          "merge-mnist+fashion-mnist-mlp-pretrained-seed1");

    // What begins at random is a start, and serves as one.
    MergeSetting random = small_merge();
    random.initialisation = "independent";
    random.start.reset();
    for (BaseModel& model : random.models) {
      model.purpose = "start";
      model.start.clear();
    }
    random.models[1].seed = 1001;
    random.label = "far";
    random.flags.push_back({"weights", "0.5,0.5;0.2,0.8"});
    const Plan apart = make_plan({random}, out.path());
    CHECK(folders_of(apart) ==
          std::vector<std::string>{"start-mnist-mlp-seed1", "start-fashion-mnist-mlp-seed1001",
                                   "merge-mnist+fashion-mnist-mlp-independent-far-seed1"});
    CHECK(has(apart.jobs[2].command(), "--weights '0.5,0.5;0.2,0.8' --models start-mnist"));
    CHECK_FALSE(has(apart.jobs[2].command(), "--start"));

    // Neither the seed nor the past of the models makes a run longer.
    CHECK(plan.jobs[3].kind != plan.jobs[5].kind);
    other = small_merge();
    other.initialisation = "same";
    other.start.reset();
    for (BaseModel& model : other.models) model.start.clear();
    CHECK(make_plan({other}, out.path()).jobs.back().kind == plan.jobs[3].kind);

    other = small_merge();
    other.methods = {"kfac"};
    CHECK(has(error_text([&] {
                make_plan({small_merge(), other}, out.path());
              }),
              "is asked for twice"));
    other.label = "kfac";
    CHECK(make_plan({small_merge(), other}, out.path()).jobs.size() == 5);
  }

  TEST_CASE("of a merge's models those are needed from which something is still to come") {
    const TemporaryFolder out;
    const std::vector<reproduce::Setting> settings = {small_merge()};
    const auto to_run = [&] { return make_plan(settings, out.path()).to_run(); };
    CHECK(to_run() == 4);
    make_run(out.path() / "start-cifar-10-grey28-mlp-seed1", "train_classifier", 5, 5);
    make_run(out.path() / "tuned-mnist-mlp-from-cifar-10-grey28-seed1", "train_classifier", 3, 3);
    CHECK(to_run() == 2);
    json given = {{"models",
                   "tuned-mnist-mlp-from-cifar-10-grey28-seed1,"
                   "tuned-fashion-mnist-mlp-from-cifar-10-grey28-seed1"},
                  {"datasets", "mnist,fashion-mnist"},
                  {"method", "average,coin"},
                  {"points", {100, 1000}},
                  {"damping", "0"},
                  {"kfac-damping", MergeChoices().kfac_damping},
                  {"seed", 1}};
    make_run(out.path() / merge_folder, "merge_models", 0, 0, given);
    CHECK(to_run() == 0);  // the model that is missing, too

    given["points"] = {100};
    make_run(out.path() / merge_folder, "merge_models", 0, 0, given);
    CHECK(has(error_text(to_run), "points = [100], this one has 100,1000"));
    given["points"] = {100, 1000};
    given["kfac-damping"] = 3.0;
    make_run(out.path() / merge_folder, "merge_models", 0, 0, given);
    CHECK(has(error_text(to_run), "kfac-damping = 3.0, of which this one says nothing"));
    given["method"] = "coin";
    make_run(out.path() / merge_folder, "merge_models", 0, 0, given);
    CHECK(has(error_text(to_run), "method = \"coin\", this one has average,coin"));
  }

  TEST_CASE("a budget counts the models of a merge and the start of these once") {
    const TemporaryFolder out;
    Experiment experiment;
    experiment.name = "small";
    MergeSetting other = small_merge();
    other.methods = {"kfac"};
    other.label = "kfac";
    experiment.settings = {small_merge(), other};
    std::map<std::string, Speed> speeds;
    for (const Job& job : make_plan(experiment.settings, out.path()).jobs)
      speeds[job.kind] = job.epochs > 0 ? Speed{1, 1} : Speed{20, 0};
    const auto select = [&](double seconds, std::size_t at_once = 1) {
      return select_settings(experiment, out.path(), {}, speeds, at_once, seconds);
    };
    const Selection all = select(1000);
    CHECK(all.settings.size() == 2);
    CHECK(std::abs(all.seconds - (6 + 4 + 4 + 20 + 20)) <= 1e-9);
    CHECK(std::abs(select(1000, 2).seconds - (6 + 4 + 20)) <= 1e-9);
    const Selection one = select(40);
    CHECK(one.settings.size() == 1);
    CHECK(one.cut == std::vector<std::string>{
                         "setting mnist+fashion-mnist mlp pretrained on cifar-10-grey28, kfac"});
    CHECK(has(error_text([&] { select(30); }),
              "first setting (mnist+fashion-mnist mlp pretrained on cifar-10-grey28), which takes "
              "34 s"));

    store_selection(out.path() / "kept.json", "a key", one);
    const auto stored = stored_selection(out.path() / "kept.json", "a key", experiment);
    REQUIRE(stored);
    CHECK(stored->settings.size() == 1);

    // The rows that a run has done are no epochs.
    make_run(out.path() / merge_folder, "merge_models", 0, 0);
    std::filesystem::remove(out.path() / merge_folder / "result.json");
    write_text(out.path() / merge_folder / "metrics.jsonl", "{\"epoch\": 2, \"seconds\": 3}\n");
    const Plan plan = make_plan(experiment.settings, out.path());
    CHECK_FALSE(Outlook(plan, out.path()).seconds_left(1));
    CHECK(std::abs(*Outlook(plan, out.path(), speeds).seconds_left(1) - 54) <= 1e-9);
  }

  TEST_CASE("the experiments of coded models cover methods, points, tasks and beginnings") {
    for (const char* name : {"coded-models-mlp", "coded-models"}) {
      const Experiment experiment = read_experiment(find_experiment(name));
      CHECK_FALSE(experiment.notes.empty());
      CHECK(experiment.published.empty());
      std::set<std::size_t> models;
      std::set<std::string> initialisations, methods;
      std::set<std::int64_t> points, seeds;
      for (const MergeSetting& setting : merges_in(experiment)) {
        models.insert(setting.models.size());
        initialisations.insert(setting.initialisation);
        seeds.insert(setting.seed);
        for (const MergeCase& one : merge_cases(merge_choices(setting))) {
          methods.insert(one.recipe);
          points.insert(one.points);
        }
        CHECK((setting.models[0].model == "mlp" || setting.models[0].width == 16));
      }
      CHECK(models.contains(3));
      CHECK(initialisations == std::set<std::string>{"pretrained", "same", "independent"});
      CHECK(seeds == std::set<std::int64_t>{1, 2, 3});
      for (const std::int64_t p : {100, 200, 800, 1600, 3000, 7000}) CHECK(points.contains(p));
      for (const char* method : {"average", "ties", "regmean", "coin", "kfac", "distill"})
        CHECK(methods.contains(method));
    }
  }
}
