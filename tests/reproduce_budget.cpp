// What of a plan fits into a time: arithmetic on invented speeds.
#include <doctest/doctest.h>

#include <cmath>

#include "error_text.h"
#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/budget.h"
#include "tools/reproduce/outlook.h"
#include "tools/reproduce/plan.h"
#include "tools/reproduce/selection.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;

namespace {

bool near(double a, double b) { return std::abs(a - b) <= 1e-9; }

// Two settings of 100 epochs of a second over one base model of 10 s.
BudgetRequest two_settings() {
  BudgetRequest request;
  request.models = {{10, {}}};
  request.settings = {{.after = {0}, .epochs = 100, .least_epochs = 3, .epoch_seconds = 1},
                      {.after = {0}, .epochs = 100, .least_epochs = 3, .epoch_seconds = 1}};
  return request;
}

Experiment small_experiment() {
  Experiment experiment;
  experiment.name = "small";
  for (const char* loss : {"mse", "kl", "xent"}) {
    CodeSetting setting = small_setting();
    setting.loss = loss;
    setting.epochs = 100;
    experiment.settings.emplace_back(setting);
  }
  return experiment;
}

// Of every job of a plan: 1 s an epoch, 2 s around them.
std::map<std::string, Speed> equal_speeds(const Plan& plan) {
  std::map<std::string, Speed> speeds;
  for (const Job& job : plan.jobs) speeds[job.kind] = {2, 1};
  return speeds;
}

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("a schedule takes the work in order, each piece after what it needs") {
    CHECK(near(schedule_seconds({}, 2), 0));
    CHECK(near(schedule_seconds({{3, {}}, {4, {}}, {5, {}}}, 1), 12));
    CHECK(near(schedule_seconds({{3, {}}, {4, {}}, {5, {}}}, 2), 8));
    CHECK(near(schedule_seconds({{3, {}}, {4, {}}, {5, {}}}, 8), 5));
    CHECK(near(schedule_seconds({{10, {}}, {5, {0}}, {5, {0}}, {1, {}}}, 2), 15));
    // The third does not wait for the second, which waits for the first.
    CHECK(near(schedule_seconds({{10, {}}, {5, {0}}, {9, {}}}, 2), 15));
    CHECK_THROWS_AS(schedule_seconds({{1, {1}}, {1, {0}}}, 1), Error);
  }

  TEST_CASE("epochs shrink evenly before settings are dropped from the end") {
    BudgetRequest request = two_settings();
    request.seconds = 1000;
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{100, 100});
    CHECK(near(fit_budget(request).seconds, 210));
    request.seconds = 110;
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{50, 50});
    CHECK(near(fit_budget(request).seconds, 110));
    request.at_once = 2;
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{100, 100});
    request.at_once = 1;
    request.seconds = 17;  // 10 for the base model, three and three epochs, one left
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{3, 3});
    request.seconds = 15.5;  // the second setting does not fit even with its least
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{5});
    request.seconds = 12;
    CHECK(fit_budget(request).epochs.empty());
  }

  TEST_CASE("what is finished costs nothing, a comparison costs what it costs") {
    BudgetRequest request = two_settings();
    request.settings[0].epochs_held = 40;
    request.seconds = 50;  // base model 10 s: 40 epochs for the second
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{40, 40});
    request.settings[0].held = request.settings[1].held = true;
    request.seconds = 0;
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{100, 100});
    CHECK(near(fit_budget(request).seconds, 0));

    request = two_settings();
    request.settings[0] = {.after = {0}, .fixed_seconds = 30};
    request.seconds = 60;
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{0, 20});
    request.settings[1].fixed_seconds = 5;
    CHECK(fit_budget(request).epochs == std::vector<std::int64_t>{0, 15});
  }

  TEST_CASE("budgets are times with a unit") {
    CHECK(parse_budget("90s") == 90);
    CHECK(parse_budget("30m") == 1800);
    CHECK(parse_budget("1.5h") == 5400);
    for (const char* text : {"", "30", "m", "30 m", "2d", "-5m", "0h", "infh", "nanm", "1hh"})
      CHECK_THROWS_AS(parse_budget(text), UsageError);
  }

  TEST_CASE("a selection says what it cut, and is kept") {
    const TemporaryFolder out;
    const Experiment experiment = small_experiment();
    const auto speeds = equal_speeds(make_plan(experiment.settings, out.path()));
    const auto select = [&](double seconds) {
      return select_settings(experiment, out.path(), {}, speeds, 1, seconds);
    };
    const Selection all = select(1e6);
    CHECK(all.cut.empty());
    CHECK(all.settings.size() == 3);
    CHECK(near(all.seconds, 10 + 3 * 102));

    // A tenth is kept back: 9/10 · 340/3 s = 10 + 3·(2 + 28.7).
    const Selection shrunk = select(340.0 / 3);
    CHECK(shrunk.cut == std::vector<std::string>{"epochs 100 → 28"});
    CHECK(codes_of(shrunk.settings).at(2).epochs == 28);
    const Selection fewer = select(24 / 0.9);
    CHECK(fewer.settings.size() == 2);
    CHECK(fewer.cut == std::vector<std::string>{
                           "epochs 100 → 5", "setting mnist mlp k=2 r=1 learned mlp xent aligned"});
    const std::string text = error_text([&] { select(10); });
    CHECK(text.find("first setting with 3 epochs") != std::string::npos);
    CHECK_THROWS_AS(select(10), UsageError);
    CHECK_THROWS_AS(select_settings(experiment, out.path(), {}, {}, 1, 10), Error);

    const auto file = out.path() / "small.selection.json";
    CHECK_FALSE(stored_selection(file, "a key", experiment));
    store_selection(file, "a key", fewer);
    CHECK_FALSE(stored_selection(file, "another key", experiment));
    const auto stored = stored_selection(file, "a key", experiment);
    REQUIRE(stored);
    CHECK(stored->cut == fewer.cut);
    CHECK(stored->settings.size() == 2);
    CHECK(codes_of(stored->settings).at(1).epochs == 5);
    CHECK(codes_of(stored->settings).at(1).loss == "kl");
    for (const auto& [content, message] : std::vector<std::pair<std::string, std::string>>{
             {R"({"key": "a key", "cut": [], "seconds": 1})", "epochs is missing"},
             {R"({"key": "a key", "cut": [], "seconds": 1, "epochs": ["x"]})",
              "epochs: expected a list of whole numbers"},
             {R"({"key": "a key", "cut": 3, "seconds": 1, "epochs": []})",
              "cut: expected a list of texts"}}) {
      write_text(file, content);
      const std::string text = error_text([&] { stored_selection(file, "a key", experiment); });
      CHECK_MESSAGE(text.find("small.selection.json: " + message) != std::string::npos, text);
    }
    write_text(file, R"({"key": 3})");
    CHECK_FALSE(stored_selection(file, "a key", experiment));
  }

  TEST_CASE("finished runs leave a selection more time") {
    const TemporaryFolder out;
    const Experiment experiment = small_experiment();
    const auto speeds = equal_speeds(make_plan(experiment.settings, out.path()));
    make_run(out.path() / "code-mnist-mlp-k2-r1-mlp-mse-seed1", "train_code", 60, 60);
    make_run(out.path() / "base-mnist-mlp-seed1", "train_classifier", 8, 8);
    const auto selection =
        select_settings(experiment, out.path(), {}, speeds, 1, (2 * 2 + 2 * 40) / 0.9);
    CHECK(codes_of(selection.settings).at(0).epochs == 40);
    CHECK(codes_of(selection.settings).at(2).epochs == 40);
  }

  TEST_CASE("the time that is left comes from what runs have shown") {
    using Phase = ChildState::Phase;
    const TemporaryFolder out;
    std::vector<CodeSetting> settings = {small_setting(), small_setting(), small_setting()};
    settings[1].loss = "kl";
    settings[2].k = 5;
    const Plan plan = make_plan(settings_of(settings), out.path());
    std::vector<ChildState> states(4);
    Outlook outlook(plan, out.path());
    CHECK_FALSE(outlook.seconds_left(1));
    CHECK(near(outlook.part_done(), 0));

    make_run(out.path() / "base-mnist-mlp-seed1", "train_classifier", 8, 8);  // 2 s an epoch
    states[0].phase = Phase::done;
    states[1].phase = Phase::running;
    make_run(out.path() / "code-mnist-mlp-k2-r1-mlp-mse-seed1", "train_code", 10, 4);
    outlook.refresh(states);
    // 6 epochs of the first, 10 of the second, which is of its kind, and the third as those two.
    CHECK(near(outlook.seconds_left(1).value(), 12 + 20 + 20));
    CHECK(near(outlook.seconds_left(2).value(), 12 + 20));
    CHECK(near(outlook.part_done(), 1.4 / 4));
    states[2].phase = Phase::failed;
    outlook.refresh(states);
    CHECK(near(outlook.seconds_left(1).value(), 12 + 20));

    // With a speed measured before.
    const Outlook measured(plan, out.path(), {{plan.jobs[3].kind, {5, 3}}});
    CHECK(measured.seconds_left(100).value() >= 35);
  }
}
