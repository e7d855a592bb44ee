#include "tools/reproduce/folder.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "kernels/check.h"
#include "tools/reproduce/members.h"

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
  check_members(value, file.string(), {});
  return value;
}

// What is read of a header, here and by those who get it.
json read_header(const fs::path& file) {
  json header = read_object(file);
  check_members(header, file.string(),
                {{"program", Kind::text},
                 {"command", Kind::text},
                 {"commit", Kind::text},
                 {"device", Kind::text},
                 {"accelerator", Kind::text},
                 {"precision", Kind::text},
                 {"instruction_set", Kind::text},
                 {"threads", Kind::whole},
                 {"settings", Kind::object}});
  check_members(header.value("settings", json::object()), file.string() + ": settings",
                {{"epochs", Kind::whole}});
  const json data = header.value("dataset", json::object());
  if (data.is_array()) return header;  // of merge_models, which has several
  check_members(data, file.string() + ": dataset",
                {{"sample", Kind::truth}, {"train", Kind::whole}, {"base", Kind::object}});
  check_members(data.value("base", json::object()), file.string() + ": dataset: base",
                {{"model", Kind::text}});
  return header;
}

}  // namespace

FolderState look_into(const fs::path& folder) {
  FolderState state;
  state.header = json::object();
  if (!fs::exists(folder / "header.json")) return state;
  state.begun = true;
  state.finished = fs::exists(folder / "result.json");
  state.header = read_header(folder / "header.json");
  state.epochs = state.header.value("settings", json::object()).value("epochs", 0);
  for (const json& line : metrics_in(folder)) {
    state.epochs_done = line.value("epoch", state.epochs_done);
    state.seconds = line.value("seconds", state.seconds);
  }
  return state;
}

json result_in(const fs::path& folder) {
  json result = read_object(folder / "result.json");
  check_members(result, (folder / "result.json").string(),
                {{"model", Kind::text}, {"seconds", Kind::number}, {"rows", Kind::list}});
  return result;
}

std::vector<json> metrics_in(const fs::path& folder) {
  std::vector<json> lines;
  const fs::path file = folder / "metrics.jsonl";
  std::ifstream stream(file);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    json value = json::parse(line, nullptr, false);
    if (!value.is_object()) continue;
    check_members(value, fmt::format("{}:{}", file.string(), number),
                  {{"epoch", Kind::whole}, {"seconds", Kind::number}});
    lines.push_back(std::move(value));
  }
  return lines;
}

}  // namespace understudy::reproduce
