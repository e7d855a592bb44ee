#include "tools/reproduce/run_plan.h"

#include <fmt/format.h>

#include <chrono>
#include <string_view>

#include "kernels/check.h"
#include "tools/reproduce/children.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/program.h"

extern char** environ;

namespace understudy::reproduce {
namespace {

namespace fs = std::filesystem;

// Children are told everything by flags; of the settings in our environment only those reach them
// that say where and how to compute.
std::vector<std::string> child_environment() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("UNDERSTUDY_DATA_DIR="))
      names.push_back("UNDERSTUDY_DATA_DIR=" +
                      fs::absolute(text.substr(text.find('=') + 1)).string());
    else if (!text.starts_with("UNDERSTUDY_") || text.starts_with("UNDERSTUDY_ISA=") ||
             text.starts_with("UNDERSTUDY_CACHE=") || text.starts_with("UNDERSTUDY_CUDA_SYNC="))
      names.emplace_back(text);
  }
  return names;
}

// The jobs that are to be run; `jobs` gets which of the plan each is.
std::vector<Child> children_of(const Plan& plan, const RunOptions& options,
                               std::vector<std::size_t>& jobs) {
  std::vector<Child> children;
  std::vector<std::size_t> place(plan.jobs.size());
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
    const Job& job = plan.jobs[i];
    if (!job.to_run()) continue;
    Child child{.name = job.folder,
                .command = {(options.programs / job.program).string()},
                .folder = options.out,
                .log = options.out / "logs" / (job.folder + ".log")};
    check(fs::exists(child.command[0]), "{}: there is no such program, and {} needs it",
          child.command[0], job.folder);
    for (const std::string& argument : job.arguments) child.command.push_back(argument);
    // One thread each, so that as many runs as cores do not crowd one another; a thread that
    // prepares batches ahead would be one more, where a program has one.
    for (const char* flag : {"--threads", "1", "--quiet", "--resume"})
      child.command.emplace_back(flag);
    if (job.program != "merge_models")
      for (const char* flag : {"--workers", "0"}) child.command.emplace_back(flag);
    if (!options.data_dir.empty()) {
      child.command.emplace_back("--data-dir");
      child.command.push_back(options.data_dir.string());
    }
    child.command.emplace_back("--out");
    child.command.push_back(job.folder);
    for (const std::size_t needed : job.after)
      if (plan.jobs[needed].to_run()) child.after.push_back(place[needed]);
    place[i] = children.size();
    jobs.push_back(i);
    children.push_back(std::move(child));
  }
  return children;
}

}  // namespace

void run_plan(const Plan& plan, const RunOptions& options, std::map<std::string, Speed> speeds,
              Progress& progress) {
  using Phase = ChildState::Phase;
  std::vector<std::size_t> jobs;  // of the children
  const std::vector<Child> children = children_of(plan, options, jobs);
  fs::create_directories(options.out / "logs");
  Outlook outlook(plan, options.out, std::move(speeds));
  std::vector<ChildState> all(plan.jobs.size(), {.phase = Phase::done});
  std::vector<bool> told(children.size());
  auto looked = std::chrono::steady_clock::time_point();
  bool stopping = false;

  progress.begin(options.name, 1000);
  ChildrenOptions children_options{.at_once = options.at_once,
                                   .stop = [] { return interrupted(); },
                                   .environment = child_environment()};
  children_options.watch = [&](const std::vector<ChildState>& states) {
    std::size_t ended = 0, running = 0;
    bool news = false;
    for (std::size_t i = 0; i < states.size(); ++i) {
      all[jobs[i]] = states[i];
      ended += states[i].ended();
      running += states[i].phase == Phase::running;
      news = news || (states[i].ended() && !told[i]);
    }
    if (interrupted() && !stopping) {
      stopping = true;
      progress.line(fmt::format("interrupted; {} runs are saving", running));
    }
    if (!news && seconds_since(looked) < 1) return;
    looked = std::chrono::steady_clock::now();
    outlook.refresh(all);
    const auto left = outlook.seconds_left(options.at_once);
    for (std::size_t i = 0; i < states.size(); ++i) {
      if (told[i] || !states[i].ended()) continue;
      told[i] = true;
      if (states[i].phase == Phase::done) {
        progress.line(fmt::format(
            "{}: done in {}; {} of {} runs{}", children[i].name, duration(states[i].seconds), ended,
            states.size(), left && *left > 0 ? fmt::format(", {} left", duration(*left)) : ""));
        options.after_each();
      } else if (states[i].phase != Phase::interrupted) {
        progress.line(fmt::format("{}: {}", children[i].name, states[i].reason));
      }
    }
    progress.update(static_cast<std::int64_t>(1000 * outlook.part_done()),
                    fmt::format("{} of {} runs, {} at work", ended, states.size(), running), left);
  };
  const std::vector<ChildState> states = run_children(children, children_options);
  progress.end();

  std::string failures;
  std::size_t failed = 0;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (states[i].phase != Phase::failed) continue;
    ++failed;
    failures += fmt::format("; {} (logs/{}): {}", children[i].name,
                            children[i].log.filename().string(), states[i].reason);
  }
  if (stopping) {
    progress.line(fmt::format("interrupted; the same command goes on{}", failures));
    throw Exit{exit_interrupted};
  }
  check(failed == 0, "{} of {} runs failed{}", failed, states.size(), failures);
}

}  // namespace understudy::reproduce
