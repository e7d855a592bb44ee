#include "tools/report/json_file.h"

#include <fstream>
#include <sstream>

#include "kernels/check.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A JSON object, or null when `text` is not one.
json parse_object(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_object() ? std::move(value) : json();
}

}  // namespace

std::string read_text(const fs::path& path) {
  check(fs::is_regular_file(path), "{}: expected a file, found {}", path.string(),
        fs::exists(path) ? "something else" : "nothing");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  check(file.good() || file.eof(), "{}: cannot be read", path.string());
  return content.str();
}

json read_object(const fs::path& path) {
  json value = parse_object(read_text(path));
  check(value.is_object(), "{}: expected a JSON object, found something else (a broken file?)",
        path.string());
  return value;
}

std::vector<JsonLine> json_lines(std::string_view content, const std::string& file) {
  std::vector<JsonLine> lines;
  std::size_t begin = 0;
  for (int number = 1; begin < content.size(); ++number) {
    const std::size_t end = content.find('\n', begin);
    const bool whole = end != std::string_view::npos;
    const std::string_view text = content.substr(begin, whole ? end - begin : end);
    begin = whole ? end + 1 : content.size();
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    json value = parse_object(text);
    if (!value.is_object() && !whole) break;
    check(value.is_object(), "{}:{}: expected a JSON object, found \"{}\"", file, number,
          printable(text.substr(0, 40)));
    lines.push_back({number, std::string(text), std::move(value)});
  }
  return lines;
}

std::optional<double> number(const json& object, std::string_view key) {
  if (!object.is_object()) return std::nullopt;
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number()) return std::nullopt;
  return at->get<double>();
}

std::optional<std::string> text(const json& object, std::string_view key) {
  if (!object.is_object()) return std::nullopt;
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) return std::nullopt;
  return at->get<std::string>();
}

}  // namespace understudy::report
