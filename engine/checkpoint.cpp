#include "engine/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/safetensors.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// The metadata of a checkpoint; the presence of the first tells it from other safetensors files.
constexpr const char* version_key = "understudy.checkpoint";
constexpr const char* version = "1";
constexpr const char* generator_prefix = "generator/";
constexpr const char* number_prefix = "number/";
constexpr const char* text_prefix = "text/";

void check_new_section(const Checkpoint& checkpoint, const std::string& section) {
  check(!section.empty() && section.find('/') == section.npos,
        "[checkpoint] expected a section name without '/', found \"{}\"", section);
  check(!checkpoint.has(section), "[checkpoint] the section \"{}\" is there already", section);
}

void add(Checkpoint& checkpoint, const std::string& section,
         const std::vector<NamedTensor>& state) {
  check_new_section(checkpoint, section);
  const NoGradGuard guard;
  for (const NamedTensor& named : state)
    checkpoint.tensors.push_back({section + "/" + named.name, clone(named.tensor).detach()});
}

template <class Stateful>
void load(const std::vector<NamedTensor>& state, Stateful& target, const std::string& place) {
  try {
    target.load_state_dict(state);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& e) {
    fail("{}: {}", place, e.what());
  }
}

std::string place_of(const Checkpoint& checkpoint, const std::string& section) {
  return fmt::format("{}: \"{}\"", checkpoint.source.empty() ? "checkpoint" : checkpoint.source,
                     section);
}

std::string sections_of(const Checkpoint& checkpoint) {
  std::set<std::string> names;
  for (const NamedTensor& named : checkpoint.tensors)
    names.insert(named.name.substr(0, named.name.find('/')));
  for (const auto& [name, state] : checkpoint.generators) names.insert(name);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

void check_section(const Checkpoint& checkpoint, const std::string& section, bool there) {
  check(there, "{} is not in the checkpoint; its sections are {}", place_of(checkpoint, section),
        sections_of(checkpoint));
}

// Reads `text` whole as a T.
template <class T>
T parse(std::string_view text, const std::string& file, const std::string& key) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(),
        "{}: metadata \"{}\": expected a number that fits, found \"{}\"", file, key, text);
  return value;
}

Checkpoint::GeneratorState parse_generator(std::string_view text, const std::string& file,
                                           const std::string& key) {
  std::uint64_t words[3];
  for (int i = 0; i < 3; ++i) {
    const std::size_t end = i < 2 ? text.find(' ') : text.size();
    check(end != text.npos, "{}: metadata \"{}\": expected seed, stream and position", file, key);
    words[i] = parse<std::uint64_t>(text.substr(0, end), file, key);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {{words[0], words[1]}, words[2]};
}

Checkpoint from_safetensors(Safetensors content, const std::string& file) {
  Checkpoint checkpoint;
  checkpoint.source = file;
  const auto take = [&](const char* key) {
    const auto found = content.metadata.find(key);
    check(found != content.metadata.end(), "{}: metadata \"{}\" is missing", file, key);
    return std::exchange(found->second, {});
  };
  const std::string found = take(version_key);
  check(found == version,
        "{}: expected a checkpoint of version {}, found \"{}\"; was it made by another understudy?",
        file, version, found);
  checkpoint.epoch = parse<std::int64_t>(take("epoch"), file, "epoch");
  checkpoint.batch = parse<std::int64_t>(take("batch"), file, "batch");
  checkpoint.step = parse<std::int64_t>(take("step"), file, "step");
  checkpoint.best_epoch = parse<std::int64_t>(take("best_epoch"), file, "best_epoch");
  check(checkpoint.epoch >= 0 && checkpoint.batch >= 0 && checkpoint.step >= 0,
        "{}: expected positions from 0, found epoch {}, batch {}, step {}", file, checkpoint.epoch,
        checkpoint.batch, checkpoint.step);
  if (content.metadata.contains("best_metric"))
    checkpoint.best_metric = parse<double>(take("best_metric"), file, "best_metric");
  for (auto& [key, value] : content.metadata) {
    const auto name_after = [&key = key](std::string_view prefix) {
      return key.starts_with(prefix) ? std::optional(key.substr(prefix.size())) : std::nullopt;
    };
    if (const auto name = name_after(generator_prefix))
      checkpoint.generators[*name] = parse_generator(value, file, key);
    else if (const auto number = name_after(number_prefix))
      checkpoint.numbers[*number] = parse<double>(value, file, key);
    else if (const auto text = name_after(text_prefix))
      checkpoint.text[*text] = std::move(value);
  }
  for (auto& [name, tensor] : content.tensors)
    checkpoint.tensors.push_back({std::move(name), std::move(tensor)});
  return checkpoint;
}

}  // namespace

bool Checkpoint::has(const std::string& name) const {
  const std::string prefix = name + "/";
  for (const NamedTensor& named : tensors)
    if (named.name.starts_with(prefix)) return true;
  return generators.contains(name);
}

std::vector<NamedTensor> Checkpoint::section(const std::string& name) const {
  const std::string prefix = name + "/";
  std::vector<NamedTensor> result;
  for (const NamedTensor& named : tensors)
    if (named.name.starts_with(prefix))
      result.push_back({named.name.substr(prefix.size()), named.tensor});
  return result;
}

void collect(Checkpoint& checkpoint, const std::string& section, Module& module) {
  add(checkpoint, section, module.state_dict());
}

void collect(Checkpoint& checkpoint, const std::string& section, Optimizer& optimizer) {
  add(checkpoint, section, optimizer.state_dict());
}

void collect(Checkpoint& checkpoint, const std::string& section, const Generator& generator) {
  check_new_section(checkpoint, section);
  checkpoint.generators[section] = {generator.key(), generator.position()};
}

void restore(const Checkpoint& checkpoint, const std::string& section, Module& module) {
  const std::vector<NamedTensor> state = checkpoint.section(section);
  check_section(checkpoint, section, !state.empty() || module.state_dict().empty());
  load(state, module, place_of(checkpoint, section));
}

void restore(const Checkpoint& checkpoint, const std::string& section, Optimizer& optimizer) {
  const std::vector<NamedTensor> state = checkpoint.section(section);
  check_section(checkpoint, section, !state.empty());
  load(state, optimizer, place_of(checkpoint, section));
}

void restore(const Checkpoint& checkpoint, const std::string& section, Generator& generator) {
  const auto found = checkpoint.generators.find(section);
  check_section(checkpoint, section, found != checkpoint.generators.end());
  const auto& [key, position] = found->second;
  generator = Generator(key.seed, static_cast<Stream>(key.stream));
  generator.set_position(position);
}

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  Safetensors content;
  for (const NamedTensor& named : checkpoint.tensors)
    content.tensors.emplace_back(named.name, named.tensor);
  auto& metadata = content.metadata;
  metadata[version_key] = version;
  metadata["epoch"] = std::to_string(checkpoint.epoch);
  metadata["batch"] = std::to_string(checkpoint.batch);
  metadata["step"] = std::to_string(checkpoint.step);
  metadata["best_epoch"] = std::to_string(checkpoint.best_epoch);
  // fmt's {} of a double is the shortest text that reads back to the same bits.
  if (checkpoint.best_metric) metadata["best_metric"] = fmt::format("{}", *checkpoint.best_metric);
  for (const auto& [name, value] : checkpoint.numbers)
    metadata[number_prefix + name] = fmt::format("{}", value);
  for (const auto& [name, value] : checkpoint.text) metadata[text_prefix + name] = value;
  for (const auto& [name, state] : checkpoint.generators)
    metadata[generator_prefix + name] =
        fmt::format("{} {} {}", state.key.seed, state.key.stream, state.position);
  write_safetensors(path, content);
}

Checkpoint load_checkpoint(const std::filesystem::path& path) {
  Safetensors content = read_safetensors(path);
  check(content.metadata.contains(version_key),
        "{}: expected a checkpoint, found a safetensors file without \"{}\" in its metadata",
        path.string(), version_key);
  return from_safetensors(std::move(content), path.string());
}

}  // namespace understudy
