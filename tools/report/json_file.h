// JSON files, and files with a JSON object on every line.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::report {

// Error when there is no such file or it cannot be read.
std::string read_text(const std::filesystem::path& path);
// Error when the file is not one JSON object.
nlohmann::json read_object(const std::filesystem::path& path);

struct JsonLine {
  int number = 0;    // from 1
  std::string text;  // as it stands in the file
  nlohmann::json object;
};
// Blank lines are passed over. Error naming `file` and the line when one is not a JSON object; but a
// last line without its end that is none is dropped, because a killed program leaves such a line.
std::vector<JsonLine> json_lines(std::string_view content, const std::string& file);

// The number, or the text, at `key`, where it is there and of that kind.
std::optional<double> number(const nlohmann::json& object, std::string_view key);
std::optional<std::string> text(const nlohmann::json& object, std::string_view key);

}  // namespace understudy::report
