#include "tools/runs/run_folder.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "engine/atomic_file.h"
#include "kernels/check.h"
#include "tools/runs/program.h"

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

}  // namespace

RunFolder::RunFolder(const Options& options) : options_(options), path_(options.common.out) {
  const bool resume = options.common.resume;
  // Better now than after the work.
  const fs::path json_folder = options.common.json.parent_path();
  if (!json_folder.empty() && !fs::is_directory(json_folder))
    throw UsageError(fmt::format("--json {}: there is no folder {}", options.common.json.string(),
                                 json_folder.string()));
  if (path_.empty()) {
    if (resume) throw UsageError("--resume needs --out: the folder of the run to continue");
    return;
  }
  const std::string name = path_.string();
  if (!fs::exists(path_)) return;
  if (!fs::is_directory(path_))
    throw UsageError(fmt::format("--out {}: is a file, expected a folder", name));
  if (fs::is_empty(path_)) return;
  if (!fs::exists(path_ / "header.json"))
    throw UsageError(
        fmt::format("--out {}: has files but no run in it; choose a new or an empty folder", name));

  const json header = read_json(path_ / "header.json");
  const bool finished = fs::exists(path_ / "result.json");
  const char* kind = finished ? "a finished run" : "an unfinished run";
  if (header.value("program", "") != options.program().name)
    throw UsageError(fmt::format("--out {}: holds {} of {}; choose another folder", name, kind,
                                 header.value("program", "another program")));
  const std::string changed = differences(header.value("settings", json()), options.identity());
  if (!changed.empty())
    throw UsageError(
        fmt::format("--out {}: holds {} with other settings ({}); choose another "
                    "folder, or remove this one",
                    name, kind, changed));
  if (finished) {
    state_ = State::finished;
  } else if (fs::exists(last())) {
    if (!resume)
      throw UsageError(
          fmt::format("--out {}: holds an unfinished run; continue it with --resume, "
                      "or choose another folder",
                      name));
    state_ = State::unfinished;
  }
  // What is left was stopped before its first checkpoint, and starts anew.
}

void RunFolder::write_header(const Dataset& train, const Dataset& test) {
  write_header(describe(train, test));
}

void RunFolder::write_header(const json& dataset) {
  if (!writes()) return;
  const json build = {{"version", version()},
                      {"commit", commit()},
                      {"compiler", compiler()},
                      {"instruction_set", instruction_set()},
                      {"threads", options_.common.threads},
                      {"device", to_string(options_.common.device)}};
  const fs::path file = path_ / "header.json";
  if (state_ == State::unfinished) {
    json header = read_json(file);
    check(header.value("dataset", json()) == dataset,
          "{}: the run began with other data: {}; now found: {}", file.string(),
          header.value("dataset", json()).dump(), dataset.dump());
    header["resumed"].push_back(build);
    write_json(file, header);
    return;
  }
  std::error_code error;
  fs::create_directories(path_, error);
  check(!error, "--out {}: cannot make the folder: {}", path_.string(), error.message());
  json header = build;
  header["program"] = options_.program().name;
  header["command"] = options_.command();
  header["seed"] = options_.common.seed;
  header["dataset"] = dataset;
  header["settings"] = options_.identity();
  write_file_atomically(path_ / "config.toml", options_.toml());
  write_json(file, header);
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
  if (writes()) write_json(path_ / "result.json", result);
  write_json_flag(result);
}

json RunFolder::repeat_result() {
  const json result = read_json(path_ / "result.json");
  write_json_flag(result);
  return result;
}

void RunFolder::write_json_flag(const json& result) const {
  const fs::path& target = options_.common.json;
  if (target.empty()) return;
  if (target == "-")
    fmt::print("{}\n", result.dump(2));
  else
    write_json(target, result);
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
