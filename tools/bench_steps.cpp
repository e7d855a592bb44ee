// Times whole steps through the engine's public interface: of training (forward, loss, backward,
// optimiser), of inference, and of Fisher information. tools/compare_pytorch.py runs it beside PyTorch on the same numbers;
// alone it says how fast this machine is:
//
//   build/bin/bench_steps --workload mlp --rounds 5
//
// prints a JSON object for each round and ends with a line like
//
//   {"median_ms":0.81,"rounds":5,"steps":50,"threads":2,"workload":"mlp"}

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/autograd.h"
#include "engine/repeated_step.h"
#include "engine/safetensors.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "tools/bench_steps/workloads.h"
#include "tools/runs/options.h"
#include "tools/runs/profile_output.h"
#include "tools/runs/program.h"

namespace understudy {
namespace {

void read_problem(Workload& workload, const std::filesystem::path& path) {
  const Safetensors file = read_safetensors(path);
  const NoGradGuard guard;
  for (NamedTensor& ours : workload.tensors()) {
    const Tensor& theirs = file.at(ours.name);
    check(theirs.shape() == ours.tensor.shape() && theirs.dtype() == ours.tensor.dtype(),
          "{}: {} is {} {}, expected {} {}", path.string(), ours.name, to_string(theirs.dtype()),
          to_string(theirs.shape()), to_string(ours.tensor.dtype()),
          to_string(ours.tensor.shape()));
    ours.tensor.copy_(theirs);
  }
}

void write_state(Workload& workload, double loss, const std::filesystem::path& path) {
  Safetensors file;
  for (const NamedTensor& t : workload.tensors()) file.tensors.emplace_back(t.name, t.tensor);
  file.tensors.emplace_back("loss", Tensor::from(std::vector<double>{loss}, {1}));
  write_safetensors(path, file);
}

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The most memory that this process has held so far, in 10^6 bytes. Of /proc, for what getrusage
// says begins with the process that started this one.
double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (double kib = 0; word == "VmHWM:" && status >> kib) return kib * 1024 / 1e6;
  fail("/proc/self/status does not say VmHWM, the peak of the memory held");
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

// With `on_demand` a round starts when a line arrives on stdin, so that another program can take
// its turns in between; the end of stdin ends the rounds.
void bench_steps(int argc, char** argv) {
  Options options(
      {.name = "bench_steps",
       .summary = "Times whole steps: of training (forward, loss, backward, optimiser), of "
                  "inference or of Fisher information.",
       .example = "bench_steps --workload mlp --rounds 5\n"
                  "It ends with: {\"median_ms\":0.81,...}"},
      {}, {"dataset", "data-dir", "model", "epochs", "batch-size", "lr", "out", "resume"});
  std::string name = "mlp";
  std::int64_t rounds = 5, steps = 50;
  bool on_demand = false;
  std::filesystem::path problem, after, trace;
  options.add("workload", &name, "what a step is").one_of(workload_names());
  options.add("rounds", &rounds, "how often to measure").at_least(1);
  options.add("steps", &steps, "steps in a round").at_least(1);
  options.add("problem", &problem,
              "safetensors file with parameters and batch; empty: random ones");
  options.add("after", &after, "write loss and parameters after one step there");
  options.add("on-demand", &on_demand, "wait for a line on stdin before each round");
  add_profile_option(options, trace);
  options.parse(argc, argv);

  const CommonOptions& common = options.common;
  ProfileOutput profile(trace);
  Generator generator(common.seed);
  const std::unique_ptr<Workload> workload = make_workload(name, generator, common.device);
  if (!problem.empty()) read_problem(*workload, problem);
  RepeatedStep step(common.device,
                    workload->can_be_recorded() ? profile.step_mode(common) : StepMode::eager,
                    [&] { workload->work(); });
  const auto run = [&](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) {
      workload->prepare();
      step.run();
    }
    backend(common.device).synchronize();
  };
  const int unrecorded =
      backend(common.device).can_record() ? RepeatedStep::eager_runs : 0;  // none of these is timed
  run(1);
  if (!after.empty()) write_state(*workload, workload->result(), after);

  std::vector<double> milliseconds;
  for (std::int64_t round = 1; round <= rounds; ++round) {
    std::string line;
    if (on_demand && !std::getline(std::cin, line)) break;
    // The machine's caches belong to whoever had the last turn.
    run(1 + steps / 10 + (round == 1 ? unrecorded : 0));
    const double seconds = seconds_of([&] { run(steps); });
    milliseconds.push_back(1000 * seconds / static_cast<double>(steps));
    fmt::print("{}\n",
               nlohmann::json({{"round", round}, {"ms_per_step", milliseconds.back()}}).dump());
    std::fflush(stdout);
  }
  profile.finish();
  check(!milliseconds.empty(), "stdin ended before the first round");
  const nlohmann::json result = {{"workload", name},
                                 {"rounds", milliseconds.size()},
                                 {"steps", steps},
                                 {"threads", common.threads},
                                 {"device", machine(common)},
                                 {"instruction_set", instruction_set()},
                                 {"peak_mb", peak_megabytes()},
                                 {"median_ms", median(milliseconds)}};
  fmt::print("{}\n", result.dump());
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("bench_steps", [&] { understudy::bench_steps(argc, argv); });
}
