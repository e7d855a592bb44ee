// Where a training run stands, in one safetensors file: enough to go on as if it had never stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "engine/optim/optimizer.h"
#include "engine/random.h"

namespace understudy {

// A snapshot. Modules, optimisers and generators are put in and taken out under a section name each
// ("model", "optimizer", "encoder", "optimizer.encoder", ...).
struct Checkpoint {
  std::int64_t epoch = 0;             // the current one, from 0
  std::int64_t batch = 0;             // batches of it that are done
  std::int64_t step = 0;              // optimiser updates of the whole run: the schedule's position
  std::optional<double> best_metric;  // so far; empty before the first evaluation
  std::int64_t best_epoch = 0;
  std::map<std::string, double> numbers;  // e.g. sums of the epoch that is under way; kept exactly
  std::map<std::string, std::string> text;  // e.g. "config": the resolved configuration as JSON

  struct GeneratorState {
    PhiloxKey key;
    std::uint64_t position = 0;
  };
  std::map<std::string, GeneratorState> generators;  // by section
  std::vector<NamedTensor> tensors;                  // "<section>/<path>"
  std::string source;                                // the file it was read from, for messages

  bool has(const std::string& section) const;  // tensors or a generator of that name
  // The tensors of a section, without its name.
  std::vector<NamedTensor> section(const std::string& name) const;
};

// Copies the state into the checkpoint. Error when it has the section already or `section` is empty
// or holds a '/'.
void collect(Checkpoint& checkpoint, const std::string& section, Module& module);
void collect(Checkpoint& checkpoint, const std::string& section, Optimizer& optimizer);
void collect(Checkpoint& checkpoint, const std::string& section, const Generator& generator);

// Copies the state back. Error naming the file, the section and all that does not fit, as for the
// checkpoint of another network; what is being restored is then unchanged.
void restore(const Checkpoint& checkpoint, const std::string& section, Module& module);
void restore(const Checkpoint& checkpoint, const std::string& section, Optimizer& optimizer);
void restore(const Checkpoint& checkpoint, const std::string& section, Generator& generator);

// The tensors are readable with any safetensors reader; the rest is in the metadata, numbers in
// decimal so that all 64 bits survive. At any moment `path` is the old checkpoint or the new one,
// whole (engine/atomic_file.h).
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
// Error with the file, what was expected and what was found when it is no checkpoint.
Checkpoint load_checkpoint(const std::filesystem::path& path);

}  // namespace understudy
