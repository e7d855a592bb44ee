// Measures the kernels that training and serving are made of: matrix products beside OpenBLAS,
// every convolution of ResNet-18 and ConvEncoder in all three passes with each algorithm, batch
// norm, cross-entropy, Adam, Fisher information, encode and decode. Each result is compared with
// sums in double before it is timed, and set against the machine's own peak. For example
//
//   build/bin/bench_kernels --threads 2 --benchmark_filter=forward/winograd
//
// prints a line for each of ResNet-18's 3×3 convolutions and ends with
//
//   10 benchmarks, every result right
//
// --benchmark_out=FILE --benchmark_out_format=json writes the same to a file; all flags that begin
// with --benchmark_ are Google Benchmark's.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/cpu/isa.h"
#include "tools/bench_kernels/measurement.h"
#include "tools/bench_kernels/peak.h"
#include "tools/runs/options.h"
#include "tools/runs/program.h"

namespace understudy {
namespace {

using bench::Measurement;
using bench::Peak;

// Google Benchmark calls a benchmark several times until it takes long enough; the data are made
// and the result is checked at the first call, and kept until another benchmark runs.
struct Prepared {
  const Measurement* of = nullptr;
  std::function<void()> call;
  std::size_t right = 0, wrong = 0;
};

void measure(benchmark::State& state, const Measurement& m, Device device, const Peak& peak,
             Prepared& prepared) {
  if (prepared.of != &m) {
    prepared.call = nullptr;  // frees its data before new ones are made
    prepared.of = &m;
    try {
      prepared.call = m.prepare();
      ++prepared.right;
    } catch (const Error& error) {
      ++prepared.wrong;
      fmt::print(stderr, "{}: {}\n", m.name, error.what());
    }
  }
  if (!prepared.call) return state.SkipWithError("the result is wrong");
  using Clock = std::chrono::steady_clock;
  Backend& kernels = backend(device);
  // A GPU has its next calls waiting while it computes, as in a step.
  const int calls = device.kind == DeviceKind::cpu ? 1 : 20;
  kernels.synchronize();
  double seconds = 0;
  for (auto _ : state) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) prepared.call();
    kernels.synchronize();
    const double each = std::chrono::duration<double>(Clock::now() - start).count() / calls;
    if (calls > 1) state.SetIterationTime(each);
    seconds += each;
  }
  seconds /= static_cast<double>(state.iterations());
  const auto rate = [&](const char* unit, double amount, double ceiling) {
    if (amount == 0) return;
    state.counters[unit] = amount / seconds * 1e-9;
    state.counters["%peak"] = 100 * amount / seconds / ceiling;
  };
  rate("GFLOP/s", m.flops, peak.flops);
  rate("GB/s", m.bytes, peak.bytes);
}

// Google Benchmark's flags and ours, which it would refuse.
struct CommandLine {
  std::vector<char*> ours, theirs;

  CommandLine(int argc, char** argv) : ours{argv[0]}, theirs{argv[0]} {
    for (int i = 1; i < argc; ++i)
      (std::strncmp(argv[i], "--benchmark_", 12) == 0 ? theirs : ours).push_back(argv[i]);
  }
};

void bench_kernels(int argc, char** argv) {
  CommandLine line(argc, argv);
  Options options(
      {.name = "bench_kernels",
       .summary = "Measures single kernels, after comparing their results with sums in double.",
       .example = "bench_kernels --threads 2 --benchmark_filter=forward/winograd\n"
                  "It ends with: 10 benchmarks, every result right\n"
                  "Flags that begin with --benchmark_ are Google Benchmark's: "
                  "--benchmark_list_tests, --benchmark_repetitions=9,\n"
                  "--benchmark_enable_random_interleaving=true, --benchmark_out=FILE (JSON)"},
      {},
      {"dataset", "data-dir", "model", "epochs", "batch-size", "lr", "seed", "out", "resume",
       "json", "no-graph"});
  std::string isa = "best";
  options.add("isa", &isa, "instruction set of the kernels")
      .one_of({"best", "baseline", "avx2", "avx512"});
  options.parse(static_cast<int>(line.ours.size()), line.ours.data());
  for (const cpu::InstructionSet set :
       {cpu::InstructionSet::baseline, cpu::InstructionSet::avx2, cpu::InstructionSet::avx512})
    if (isa == cpu::to_string(set)) cpu::set_instruction_set(set);

  int count = static_cast<int>(line.theirs.size());
  benchmark::Initialize(&count, line.theirs.data());
  if (count > 1)
    throw UsageError(fmt::format("{}: unknown flag of Google Benchmark", line.theirs[1]));

  const Device device = options.common.device;
  backend(device).synchronize();  // says so where there is none
  const Peak peak = bench::measure_peak(device);
  benchmark::AddCustomContext("understudy", fmt::format("{} ({})", version(), commit()));
  benchmark::AddCustomContext("compiler", compiler());
  benchmark::AddCustomContext(
      "device", fmt::format("{}, {}, {}", to_string(device), backend(device).describe(),
                            options.common.precision));
  benchmark::AddCustomContext("threads", std::to_string(options.common.threads));
  benchmark::AddCustomContext("instruction_set", instruction_set());
  benchmark::AddCustomContext("peak_gflops", fmt::format("{:.1f}", peak.flops * 1e-9));
  benchmark::AddCustomContext("peak_gbytes_per_second", fmt::format("{:.1f}", peak.bytes * 1e-9));

  std::vector<Measurement> all;
  for (const auto family : {bench::products, bench::convolutions, bench::passes, bench::codes})
    for (Measurement& m : family(device)) all.push_back(std::move(m));
  Prepared prepared;
  for (const Measurement& m : all) {
    auto* const registered =
        benchmark::RegisterBenchmark(m.name.c_str(), [&](benchmark::State& state) {
          measure(state, m, device, peak, prepared);
        })->Unit(benchmark::kMillisecond);
    // The time of a call, where several are waited for together.
    if (device.kind != DeviceKind::cpu) registered->UseManualTime();
  }
  const std::size_t ran = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  check(ran > 0, "no benchmark has a name that matches --benchmark_filter");
  check(prepared.wrong == 0, "{} of {} benchmarks have wrong results", prepared.wrong, ran);
  if (prepared.right > 0 && !options.common.quiet)  // none with --benchmark_list_tests
    fmt::print(stderr, "{} benchmarks, every result right\n", ran);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("bench_kernels", [&] { understudy::bench_kernels(argc, argv); });
}
