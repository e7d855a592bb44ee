// Times whole training steps through the engine's public interface: forward, loss, backward,
// optimiser. tools/compare_pytorch.py runs it beside PyTorch on the same numbers; alone it says how
// fast this machine is:
//
//   build/bin/bench_steps --workload mlp --rounds 5
//
// prints a JSON object for each round and ends with a line like
//
//   {"median_ms":0.81,"rounds":5,"steps":50,"threads":2,"workload":"mlp"}

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coding/evaluation.h"
#include "coding/learned/learned_code.h"
#include "coding/learned/training.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "engine/safetensors.h"
#include "kernels/check.h"
#include "models/mlp.h"
#include "tools/runs/options.h"
#include "tools/runs/program.h"

namespace understudy {
namespace {

// A model, its batch and its optimiser, and one step of them.
struct Workload {
  virtual ~Workload() = default;
  virtual double step() = 0;  // the loss before the update
  // Everything a step reads, by the names of the problem file: parameters "model.0.weight", the
  // batch "images". To be overwritten by a file's values, and written out after a step.
  virtual std::vector<NamedTensor> tensors() = 0;
};

void add(std::vector<NamedTensor>& tensors, const std::string& prefix, Module& module) {
  for (const NamedTensor& parameter : module.named_parameters())
    tensors.push_back({prefix + "." + parameter.name, parameter.tensor});
}

Tensor random_normal(const Shape& shape, Generator& generator) {
  Tensor x = Tensor::empty(shape);
  fill_normal(x, generator, 0, 1);
  return x;
}

Tensor random_labels(const Shape& shape, Generator& generator) {
  std::vector<std::int64_t> labels(static_cast<std::size_t>(shape.count()));
  for (std::int64_t& label : labels) label = static_cast<std::int64_t>(generator.below(10));
  return Tensor::from(labels, shape);
}

// Base-MLP, 64 images a step, cross-entropy, plain SGD with lr 0.01.
struct MlpStep : Workload {
  explicit MlpStep(Generator& generator)
      : model(base_mlp_widths, generator),
        optimizer(make_sgd(model.named_parameters(), {.lr = 0.01})),
        images(random_normal({64, 784}, generator)),
        labels(random_labels({64}, generator)) {}
  double step() override {
    optimizer->clear_gradients();
    const Tensor loss = cross_entropy(model(images), labels);
    loss.backward();
    optimizer->step();
    return loss.item();
  }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {{"images", images}, {"labels", labels}};
    add(all, "model", model);
    return all;
  }

  Mlp model;
  std::unique_ptr<Optimizer> optimizer;
  Tensor images, labels;
};

// A code with MLPEncoder and MLPDecoder over a frozen Base-MLP: k = 2, r = 1, 64 groups a step,
// each under both losses of one answer; squared error, an Adam for each half (Kosaian et al. 2018).
struct CodeStep : Workload {
  explicit CodeStep(Generator& generator)
      : base(base_mlp_widths, generator),
        code({.shape = {.k = 2, .r = 1}, .encoder = "mlp", .image = {28, 28, 1}, .classes = 10},
             generator),
        trainer(code, base, standard_patterns(code), {.loss = CodeLoss::mse_base}),
        batch{random_normal({64, 2, 28, 28, 1}, generator), random_normal({64, 2, 10}, generator),
              random_labels({64, 2}, generator)} {}
  double step() override { return trainer.step(batch); }
  std::vector<NamedTensor> tensors() override {
    std::vector<NamedTensor> all = {
        {"groups", batch.groups}, {"data_outputs", batch.data_outputs}, {"labels", batch.labels}};
    add(all, "base", base);
    add(all, "code", code);
    return all;
  }

  Mlp base;
  LearnedCode code;
  CodeTrainer trainer;
  GroupBatch batch;
};

// A new workload is a struct above, a line here, and a line in compare_pytorch.py.
template <class Step>
std::unique_ptr<Workload> make(Generator& generator) {
  return std::make_unique<Step>(generator);
}
struct Entry {
  const char* name;
  std::unique_ptr<Workload> (*make)(Generator&);
};
constexpr Entry workloads[] = {{"mlp", make<MlpStep>}, {"mlp-code", make<CodeStep>}};

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
       .summary = "Times whole training steps: forward, loss, backward, optimiser.",
       .example = "bench_steps --workload mlp --rounds 5\n"
                  "It ends with: {\"median_ms\":0.81,...}"},
      {},
      {"dataset", "data-dir", "model", "epochs", "batch-size", "lr", "device", "out", "resume"});
  std::string name = "mlp";
  std::int64_t rounds = 5, steps = 50;
  bool on_demand = false;
  std::filesystem::path problem, after;
  std::vector<std::string> names;
  for (const Entry& entry : workloads) names.emplace_back(entry.name);
  options.add("workload", &name, "what a step is").one_of(names);
  options.add("rounds", &rounds, "how often to measure").at_least(1);
  options.add("steps", &steps, "steps in a round").at_least(1);
  options.add("problem", &problem,
              "safetensors file with parameters and batch; empty: random ones");
  options.add("after", &after, "write loss and parameters after one step there");
  options.add("on-demand", &on_demand, "wait for a line on stdin before each round");
  options.parse(argc, argv);

  Generator generator(options.common.seed);
  const Entry* entry = std::find_if(std::begin(workloads), std::end(workloads),
                                    [&](const Entry& e) { return e.name == name; });
  const std::unique_ptr<Workload> workload = entry->make(generator);
  if (!problem.empty()) read_problem(*workload, problem);
  const double loss = workload->step();
  if (!after.empty()) write_state(*workload, loss, after);

  std::vector<double> milliseconds;
  for (std::int64_t round = 1; round <= rounds; ++round) {
    std::string line;
    if (on_demand && !std::getline(std::cin, line)) break;
    // The machine's caches belong to whoever had the last turn.
    for (std::int64_t i = 0; i < 1 + steps / 10; ++i) workload->step();
    const double seconds = seconds_of([&] {
      for (std::int64_t i = 0; i < steps; ++i) workload->step();
    });
    milliseconds.push_back(1000 * seconds / static_cast<double>(steps));
    fmt::print("{}\n",
               nlohmann::json({{"round", round}, {"ms_per_step", milliseconds.back()}}).dump());
    std::fflush(stdout);
  }
  check(!milliseconds.empty(), "stdin ended before the first round");
  const nlohmann::json result = {{"workload", name},
                                 {"rounds", milliseconds.size()},
                                 {"steps", steps},
                                 {"threads", options.common.threads},
                                 {"instruction_set", instruction_set()},
                                 {"median_ms", median(milliseconds)}};
  fmt::print("{}\n", result.dump());
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("bench_steps", [&] { understudy::bench_steps(argc, argv); });
}
