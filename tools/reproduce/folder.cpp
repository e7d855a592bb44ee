#include "tools/reproduce/folder.h"

#include <fstream>
#include <sstream>

#include "kernels/check.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json read_object(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  check(stream.good(), "{}: cannot be read", file.string());
  json value = json::parse(text.str(), nullptr, false);
  check(value.is_object(), "{}: expected a JSON object; the file is damaged", file.string());
  return value;
}

}  // namespace

FolderState look_into(const fs::path& folder) try {
  FolderState state;
  state.header = json::object();
  if (!fs::exists(folder / "header.json")) return state;
  state.begun = true;
  state.finished = fs::exists(folder / "result.json");
  state.header = read_object(folder / "header.json");
  state.epochs = state.header.value("settings", json::object()).value("epochs", 0);
  for (const json& line : metrics_in(folder)) {
    state.epochs_done = line.value("epoch", state.epochs_done);
    state.seconds = line.value("seconds", state.seconds);
  }
  return state;
} catch (const json::exception& e) {
  fail("{}: header.json or metrics.jsonl is damaged: {}", folder.string(), e.what());
}

json result_in(const fs::path& folder) { return read_object(folder / "result.json"); }

std::vector<json> metrics_in(const fs::path& folder) {
  std::vector<json> lines;
  std::ifstream stream(folder / "metrics.jsonl");
  for (std::string line; std::getline(stream, line);)
    if (json value = json::parse(line, nullptr, false); value.is_object())
      lines.push_back(std::move(value));
  return lines;
}

}  // namespace understudy::reproduce
