// Runs a named experiment: every setting of a paper, say, as runs of the other programs beside this
// one. It plans the runs, trains what is missing on as many cores as there are, continues what was
// interrupted, and gathers what they obtained.
//
//   build/bin/reproduce quick --out runs/quick
//   build/bin/reproduce learning-a-code --out runs/paper --width 16 --budget 2h
//   build/bin/reproduce --list
//
// ends with a line like
//
//   results: runs/quick/results.jsonl, 7 of 7 settings
//
// Steps: the experiment's file → settings → a budget's choice → runs → child processes → results.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/check.h"
#include "tools/reproduce/budget.h"
#include "tools/reproduce/estimate.h"
#include "tools/reproduce/experiment.h"
#include "tools/reproduce/named_experiments.h"
#include "tools/reproduce/outlook.h"
#include "tools/reproduce/plan.h"
#include "tools/reproduce/results.h"
#include "tools/reproduce/run_plan.h"
#include "tools/reproduce/selection.h"
#include "tools/runs/folder_lock.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/options.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;

// The flags of this program beside the common ones.
struct Choices {
  std::string experiment;
  fs::path out;
  std::int64_t jobs = 0;
  std::string budget;
  std::vector<std::int64_t> seeds;
  std::int64_t width = 0;
  std::int64_t epochs = 0;
  bool plan = false, collect = false, list = false;
};

void add_choices(Options& options, Choices& choices) {
  options.add("out", &choices.out, "gets a folder for each run, logs/ and results.jsonl");
  options
      .add("jobs", &choices.jobs,
           "runs at once, on one core each; 0: as many as there are cores, and one on a GPU")
      .at_least(0)
      .at_most(1024);
  options.add("budget", &choices.budget,
              "time that it may take, such as 30m or 2h: epochs and settings are cut to fit");
  options
      .add("seeds", &choices.seeds, "instead of the experiment's, the first one's settings first")
      .at_least(0);
  options.add("width", &choices.width, "first stage of every resnet18; 0: the experiment's")
      .at_least(0)
      .at_most(512);
  options.add("epochs", &choices.epochs, "at most so many for a code; 0: the experiment's")
      .at_least(0)
      .at_most(1e6);
  options.add("plan", &choices.plan, "print the runs and how long they will take, and end");
  options.add("collect", &choices.collect, "run nothing, gather what is finished");
  options.add("list", &choices.list, "print the experiments that have a name, and end");
}

void list_experiments() {
  for (const fs::path& file : named_experiments()) {
    const Experiment experiment = read_experiment(file);
    fmt::print("{:<18} {} ({} settings)\n", experiment.name, experiment.title,
               experiment.settings.size());
  }
}

// ---- what a run of this program is about, once the flags are read ----
struct Reproduction {
  Experiment experiment;
  std::vector<Setting> settings;  // those to run; fewer than the experiment's after a budget
  std::vector<std::string> cut;   // what a budget left out, in words
  std::string command;            // for the results: without places on this machine
  std::string machine;
  fs::path out, data_dir, programs;
  ComputeFlags compute;
  Device device;
  std::size_t jobs = 1;

  fs::path results() const { return out / "results.jsonl"; }
  fs::path selection() const { return out / (experiment.name + ".selection.json"); }
};

std::string recorded_command(const Choices& choices, const ComputeFlags& compute) {
  std::string text = "reproduce " + fs::path(choices.experiment).filename().string();
  const ComputeFlags usual;
  if (compute.device != usual.device) text += " --device " + compute.device;
  if (compute.precision != usual.precision) text += " --precision " + compute.precision;
  if (compute.nondeterministic) text += " --nondeterministic";
  if (!choices.budget.empty()) text += " --budget " + choices.budget;
  if (choices.jobs > 0) text += fmt::format(" --jobs {}", choices.jobs);
  if (!choices.seeds.empty()) text += fmt::format(" --seeds {}", fmt::join(choices.seeds, ","));
  if (choices.width > 0) text += fmt::format(" --width {}", choices.width);
  if (choices.epochs > 0) text += fmt::format(" --epochs {}", choices.epochs);
  return text;
}

// Gathers what there is of all settings of the experiment, also of those that a budget leaves out.
// Returns how many have a result.
std::size_t gather(const Reproduction& work) {
  std::vector<nlohmann::json> lines = {
      experiment_line(work.experiment, work.machine, work.command, work.cut)};
  for (nlohmann::json& line : published_lines(work.experiment)) lines.push_back(std::move(line));
  std::size_t count = 0;
  for (const Setting& setting : work.experiment.settings) {
    const auto found = result_lines(work.experiment, setting, work.out);
    count += !found.empty();
    lines.insert(lines.end(), found.begin(), found.end());
  }
  write_results(work.results(), work.experiment.name, lines);
  return count;
}

void print_results(const Reproduction& work) {
  for (const Setting& setting : work.experiment.settings)
    for (const nlohmann::json& line : result_lines(work.experiment, setting, work.out))
      fmt::print("{}\n", summary(line));
}

void print_plan(const Reproduction& work, const Plan& plan,
                const std::map<std::string, Speed>& speeds) {
  for (const Job& job : plan.jobs) {
    std::string state = job.finished() ? "done" : "unneeded";
    if (job.to_run()) {
      const Speed speed = speeds.at(job.kind);
      state =
          duration(speed.fixed_seconds +
                   speed.epoch_seconds * static_cast<double>(job.epochs - job.before.epochs_done));
    }
    fmt::print("{:>14}  {}\n", state, job.command());
  }
  for (const std::string& cut : work.cut) fmt::print("cut: {}\n", cut);
  const Outlook outlook(plan, work.out, speeds);
  fmt::print("{} runs to do, {} at once: {}\n", plan.to_run(), work.jobs,
             duration(*outlook.seconds_left(work.jobs)));
}

// Speeds of what is not finished; throws Exit when interrupted.
std::map<std::string, Speed> measure(const Reproduction& work, Progress& progress) {
  const Plan plan = make_plan(work.settings, work.out, work.compute);
  auto speeds = measure_speeds(plan, work.data_dir, work.device, progress);
  if (interrupted()) throw Exit{exit_interrupted};
  return speeds;
}

// Leaves in `work` what fits into the budget, and says so. The choice of an earlier call with the
// same command stays.
void apply_budget(const Choices& choices, Reproduction& work, std::map<std::string, Speed>& speeds,
                  Progress& progress) {
  const double seconds = parse_budget(choices.budget);
  const std::string key =
      fmt::format("{} {} jobs {}", work.experiment.sha256, work.command, work.jobs);
  auto selection = stored_selection(work.selection(), key, work.experiment);
  const bool kept = selection.has_value();
  if (!kept) {
    speeds = measure(work, progress);
    selection =
        select_settings(work.experiment, work.out, work.compute, speeds, work.jobs, seconds);
    if (!choices.plan) store_selection(work.selection(), key, *selection);
  }
  work.settings = selection->settings;
  work.cut = selection->cut;
  std::string text = fmt::format("budget {}: ", choices.budget);
  text += kept ? fmt::format("as chosen before ({})", work.selection().filename().string())
               : fmt::format("will take about {}", duration(selection->seconds));
  if (!work.cut.empty()) {
    const std::size_t all = work.experiment.settings.size(), left = work.settings.size();
    text += "; cut: ";
    if (left < all)
      text += fmt::format("{} of {} settings, from {} on; ", all - left, all,
                          text_of(work.experiment.settings[left]));
    std::vector<std::string> epochs;
    for (const std::string& cut : work.cut)
      if (cut.starts_with("epochs")) epochs.push_back(cut);
    text += fmt::format("{}", fmt::join(epochs, ", "));
  }
  progress.line(text);
}

void reproduce(int argc, char** argv) {
  Choices choices;
  // The one argument without a flag is the first.
  std::vector<char*> flags(argv, argv + argc);
  if (argc > 1 && argv[1][0] != '-') {
    choices.experiment = argv[1];
    flags.erase(flags.begin() + 1);
  }
  Options options(
      {
          .name = "reproduce",
          .summary = "Runs a named experiment and gathers its results: reproduce NAME --out DIR, "
                     "where NAME is one of --list or a .toml file.",
          .example = "reproduce quick --out runs/quick\n"
                     "It ends with: results: runs/quick/results.jsonl, 7 of 7 settings",
      },
      {},
      {"dataset", "model", "epochs", "batch-size", "lr", "seed", "threads", "out", "resume", "json",
       "no-graph"});
  add_choices(options, choices);
  options.parse(static_cast<int>(flags.size()), flags.data());
  if (choices.list) return list_experiments();
  if (choices.experiment.empty())
    throw UsageError("expected the name of an experiment first, e.g. reproduce quick; see --list");
  if (choices.out.empty())
    throw UsageError("--out is needed: the folder that gets the runs and results.jsonl");
  if (!choices.budget.empty()) parse_budget(choices.budget);  // before anything is made
  const InterruptGuard interrupt_guard;
  Progress progress(options.common.quiet);

  Reproduction work;
  work.experiment = read_experiment(
      find_experiment(choices.experiment),
      {.seeds = choices.seeds, .width = choices.width, .most_epochs = choices.epochs});
  work.settings = work.experiment.settings;
  work.out = fs::absolute(choices.out);
  if (!options.common.data_dir.empty()) work.data_dir = fs::absolute(options.common.data_dir);
  work.programs = fs::read_symlink("/proc/self/exe").parent_path();
  work.compute = {.device = options.common.device_name,
                  .precision = options.common.precision,
                  .nondeterministic = options.common.nondeterministic};
  work.device = options.common.device;
  work.command = recorded_command(choices, work.compute);
  work.machine = machine(static_cast<int>(options.common.threads));
  const bool on_cpu = options.common.device == Device{};
  if (!on_cpu) work.machine += "; " + understudy::machine(options.common);
  // Two on one GPU would be in each other's way, above all where convolutions are chosen by time.
  const std::int64_t usual_jobs = on_cpu ? options.common.threads : 1;
  work.jobs = static_cast<std::size_t>(choices.jobs > 0 ? choices.jobs : usual_jobs);

  std::map<std::string, Speed> speeds;
  if (choices.plan) {
    if (!choices.budget.empty()) apply_budget(choices, work, speeds, progress);
    if (speeds.empty()) speeds = measure(work, progress);
    return print_plan(work, make_plan(work.settings, work.out, work.compute), speeds);
  }

  std::error_code error;
  fs::create_directories(work.out, error);
  check(!error, "--out {}: cannot make the folder: {}", choices.out.string(), error.message());
  FolderLock lock;
  if (!lock.take(work.out))
    throw UsageError(
        fmt::format("--out {}: another reproduce is at work in it", choices.out.string()));

  if (choices.collect) {
    // How and where it was run is said by whoever ran it.
    const nlohmann::json before = experiment_line_in(work.results(), work.experiment.name);
    work.command = before.value("command", work.command + " --collect");
    work.machine = before.value("machine", work.machine);
    work.cut = before.value("cut", work.cut);
  } else {
    if (!choices.budget.empty()) apply_budget(choices, work, speeds, progress);
    const Plan plan = make_plan(work.settings, work.out, work.compute);
    progress.line(fmt::format("{}: {} settings, {} runs to do, {} at once", work.experiment.title,
                              work.settings.size(), plan.to_run(), work.jobs));
    gather(work);
    run_plan(plan,
             {.name = work.experiment.name,
              .out = work.out,
              .data_dir = work.data_dir,
              .programs = work.programs,
              .at_once = work.jobs,
              .after_each = [&] { gather(work); }},
             std::move(speeds), progress);
  }
  const std::size_t obtained = gather(work);
  print_results(work);
  fmt::print("results: {}, {} of {} settings\n", (choices.out / "results.jsonl").string(), obtained,
             work.experiment.settings.size());
}

}  // namespace
}  // namespace understudy::reproduce

int main(int argc, char** argv) {
  return understudy::run_program("reproduce",
                                 [&] { understudy::reproduce::reproduce(argc, argv); });
}
