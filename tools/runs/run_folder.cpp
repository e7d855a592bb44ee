#include "tools/runs/run_folder.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "datasets/digest.h"
#include "engine/atomic_file.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/parallel.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"

namespace understudy {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  check(file.good(), "{}: cannot be read", path.string());
  return text.str();
}

json read_json(const fs::path& path) {
  const json value = json::parse(read_text(path), nullptr, false);
  check(value.is_object(), "{}: expected a JSON object; the file is damaged", path.string());
  return value;
}

void write_json(const fs::path& path, const json& value) {
  write_file_atomically(path, value.dump(2) + "\n");
}

// "epochs 8, now 2; lr 0.001, now 0.01": where two runs' settings differ.
std::string differences(const json& before, const json& now) {
  std::string text;
  const auto add = [&](const std::string& name, const std::string& was, const std::string& is) {
    text += fmt::format("{}{} {}, now {}", text.empty() ? "" : "; ", name, was, is);
  };
  for (const auto& [name, value] : now.items())
    if (!before.contains(name))
      add(name, "unset", value.dump());
    else if (before[name] != value)
      add(name, before[name].dump(), value.dump());
  for (const auto& [name, value] : before.items())
    if (!now.contains(name)) add(name, value.dump(), "unset");
  return text;
}

// Whether there is nothing but what a run leaves that was killed while it wrote its header.
bool is_as_good_as_empty(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".header.json.") || !name.ends_with(".tmp")) return false;
  }
  return true;
}

std::string file_checksum(const fs::path& path) {
  const std::string bytes = read_text(path);
  return sha256({std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())});
}

// The names of the bundled samples in a run's description of its data: one set, or a list of them.
std::vector<std::string> samples_in(const json& dataset) {
  std::vector<std::string> names;
  if (dataset.is_array()) {
    for (const json& one : dataset)
      for (const std::string& name : samples_in(one)) names.push_back(name);
  } else if (dataset.is_object() && dataset.value("sample", false)) {
    names.push_back(fmt::format("{} ({} training, {} test images)", dataset.value("name", ""),
                                dataset.value("train", 0), dataset.value("test", 0)));
  }
  return names;
}

}  // namespace

RunFolder::RunFolder(Options& options, const std::vector<fs::path>& inputs)
    : options_(options),
      json_output_(options.common.json, options.common.quiet),
      path_(options.common.out) {
  const bool resume = options.common.resume;
  if (path_.empty()) {
    if (resume) throw UsageError("--resume needs --out: the folder of the run to continue");
    return;
  }
  const std::string name = path_.string();
  const bool exists = fs::exists(path_);
  if (exists && !fs::is_directory(path_))
    throw UsageError(fmt::format("--out {}: is a file, expected a folder", name));
  if (exists) lock();
  const bool finished = exists && fs::exists(path_ / "result.json");
  // A finished run needs its inputs no more: one that is gone has not changed.
  for (const fs::path& input : inputs)
    if (!finished || fs::exists(input)) inputs_[input.string()] = file_checksum(find_model(input));
  if (!exists || is_as_good_as_empty(path_)) return;
  if (!fs::exists(path_ / "header.json"))
    throw UsageError(
        fmt::format("--out {}: has files but no run in it; choose a new or an empty folder", name));

  const json header = read_json(path_ / "header.json");
  const char* kind = finished ? "a finished run" : "an unfinished run";
  if (header.value("program", "") != options.program().name)
    throw UsageError(fmt::format("--out {}: holds {} of {}; choose another folder", name, kind,
                                 header.value("program", "another program")));
  const std::string changed =
      differences(options.completed(header.value("settings", json())), options.identity());
  if (!changed.empty())
    throw UsageError(
        fmt::format("--out {}: holds {} with other settings ({}); choose another "
                    "folder, or remove this one",
                    name, kind, changed));
  const json inputs_before = header.value("inputs", json::object());
  for (const auto& [input, checksum] : inputs_.items())
    if (inputs_before.value(input, "") != checksum)
      throw UsageError(
          fmt::format("--out {}: holds {} that began from another {}, which has changed since; "
                      "choose another folder, or remove this one",
                      name, kind, input));
  if (finished) {
    state_ = State::finished;
  } else if (fs::exists(last())) {
    if (!resume)
      throw UsageError(
          fmt::format("--out {}: holds an unfinished run; continue it with --resume, "
                      "or choose another folder",
                      name));
    state_ = State::unfinished;
    const int threads = header.value("threads", 0);
    if (!options.threads_given() && threads > 0) {
      options.common.threads = threads;
      set_num_threads(threads);
    }
  }
  // What is left was stopped before its first checkpoint, and starts anew.
}

void RunFolder::lock() {
  if (lock_.take(path_)) return;
  throw UsageError(fmt::format(
      "--out {}: another run is at work in it; wait for its end, or choose another folder",
      path_.string()));
}

json RunFolder::build() const {
  json build = {{"version", version()},
                {"commit", commit()},
                {"compiler", compiler()},
                {"instruction_set", instruction_set()},
                {"threads", options_.common.threads},
                {"device", to_string(options_.common.device)}};
  build.update(accelerator(options_.common));
  return build;
}

void RunFolder::continue_run(const json& header) {
  const json now = build();
  json before = json::object();
  for (const auto& [name, value] : now.items())
    if (header.contains(name)) before[name] = header[name];
  if (const std::string changed = differences(before, now); !changed.empty())
    Progress(options_.common.quiet)
        .line(fmt::format("resumed with other means, so the last digits can differ from those of a "
                          "run that was never stopped: {}",
                          changed));
  json longer = header;
  longer["resumed"].push_back(now);
  write_json(path_ / "header.json", longer);
}

void RunFolder::write_header(const Dataset& train, const Dataset& test) {
  write_header(describe(train, test));
}

void RunFolder::write_header(const json& dataset) {
  for (const std::string& sample : samples_in(dataset))
    Progress(options_.common.quiet)
        .line(fmt::format("{}: a sample; figures on it are not figures on the published set",
                          sample));
  if (!writes()) return;
  const fs::path file = path_ / "header.json";
  if (state_ == State::unfinished) {
    const json header = read_json(file);
    check(header.value("dataset", json()) == dataset,
          "{}: the run began with other data: {}; now found: {}", file.string(),
          header.value("dataset", json()).dump(), dataset.dump());
    continue_run(header);
    return;
  }
  std::error_code error;
  fs::create_directories(path_, error);
  check(!error, "--out {}: cannot make the folder: {}", path_.string(), error.message());
  if (!lock_.held()) {
    lock();
    if (fs::exists(file))
      throw UsageError(fmt::format(
          "--out {}: another run began in it a moment ago; choose another folder", path_.string()));
  }
  json header = build();
  header["program"] = options_.program().name;
  header["command"] = options_.command();
  header["seed"] = options_.common.seed;
  header["dataset"] = dataset;
  header["settings"] = options_.identity();
  if (!inputs_.empty()) header["inputs"] = inputs_;
  // The header first: without it, whatever a kill leaves would be somebody's files.
  write_json(file, header);
  write_file_atomically(path_ / "config.toml", options_.toml());
  fs::remove(path_ / "metrics.jsonl");  // of a run that had no checkpoint yet
}

void RunFolder::add_metrics(const json& line) {
  if (!writes()) return;
  const fs::path file = path_ / "metrics.jsonl";
  std::ofstream out(file, std::ios::app | std::ios::binary);
  out << line.dump() << '\n' << std::flush;
  check(out.good(), "{}: cannot be written; is the disk full?", file.string());
}

void RunFolder::truncate_metrics(std::int64_t epoch) {
  const fs::path file = path_ / "metrics.jsonl";
  if (!writes() || !fs::exists(file)) return;
  std::istringstream lines(read_text(file));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const json value = json::parse(line, nullptr, false);  // a kill can leave a part of a line
    if (value.is_object() && value.value("epoch", epoch + 1) <= epoch) kept += line + "\n";
  }
  write_file_atomically(file, kept);
}

void RunFolder::finish(json result) {
  result["program"] = options_.program().name;
  result["settings"] = options_.identity();
  result.update(accelerator(options_.common));
  if (writes()) write_json(path_ / "result.json", result);
  json_output_.write(result);
}

json RunFolder::repeat_result() {
  const json result = read_json(path_ / "result.json");
  json_output_.write(result);
  return result;
}

json describe(const Dataset& train, const Dataset& test) {
  return {{"name", train.name},
          {"train", train.size()},
          {"test", test.size()},
          {"sha256", {{"train", train.sha256}, {"test", test.sha256}}},
          {"sample", train.sample || test.sample}};
}

fs::path find_model(const fs::path& run_or_file) {
  if (!fs::is_directory(run_or_file)) {
    check(fs::exists(run_or_file), "{}: there is no such file or run folder", run_or_file.string());
    return run_or_file;
  }
  const fs::path model = run_or_file / "model.safetensors";
  check(fs::exists(model),
        "{}: has no model.safetensors; expected the folder of a run that reached "
        "the end of its first epoch",
        run_or_file.string());
  return model;
}

}  // namespace understudy
