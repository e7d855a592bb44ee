#include "tools/reproduce/section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "kernels/check.h"

namespace understudy::reproduce {

Section::Section(std::string file, std::string name, const toml::table& table)
    : file_(std::move(file)), name_(std::move(name)), table_(table) {}

void Section::fail_at(const toml::node& node, const std::string& text) const {
  throw UsageError(fmt::format("{}:{}: {}: {}", file_, node.source().begin.line, name_, text));
}

void Section::fail_at(const std::string& key, const std::string& expected) const {
  const toml::node* node = table_.get(key);
  if (!node) fail_at(table_, fmt::format("{} is missing: expected {}", key, expected));
  std::ostringstream text;
  node->visit([&](const auto& value) { text << value; });
  fail_at(*node, fmt::format("{} = {}: expected {}", key, text.str(), expected));
}

void Section::only(const std::vector<std::string>& known) const {
  for (const auto& [key, node] : table_)
    if (std::find(known.begin(), known.end(), key.str()) == known.end())
      fail_at(node,
              fmt::format("unknown key {}; there are: {}", key.str(), fmt::join(known, ", ")));
}

std::string Section::text(const std::string& key, const std::string& otherwise) const {
  if (!has(key)) return otherwise;
  const auto value = table_.get(key)->value_exact<std::string>();
  if (!value) fail_at(key, "a text in quotes");
  return *value;
}

std::int64_t Section::whole(const std::string& key, std::int64_t low,
                            std::int64_t otherwise) const {
  if (!has(key)) return otherwise;
  const auto value = table_.get(key)->value_exact<std::int64_t>();
  if (!value || *value < low) fail_at(key, fmt::format("a whole number of at least {}", low));
  return *value;
}

std::vector<std::string> Section::values(const std::string& key) const {
  if (!has(key)) return {};
  const toml::node& node = *table_.get(key);
  std::vector<std::string> all;
  if (const toml::array* list = node.as_array())
    for (const toml::node& item : *list) all.push_back(typed(key, item));
  else
    all.push_back(typed(key, node));
  if (all.empty()) fail_at(key, "at least one value");
  return all;
}

std::vector<std::string> Section::texts(const std::string& key) const {
  const std::vector<std::string> all = values(key);
  const toml::node* node = table_.get(key);
  const toml::array* list = node ? node->as_array() : nullptr;
  const bool right = list ? list->is_homogeneous<std::string>() : !node || node->is_string();
  if (!right) fail_at(key, "a text in quotes, or a list of texts");
  return all;
}

std::vector<std::int64_t> Section::wholes(const std::string& key, std::int64_t low,
                                          std::int64_t high) const {
  std::vector<std::int64_t> all;
  for (const std::string& value : values(key)) all.push_back(to_whole(key, value, low, high));
  if (all.empty()) fail_at(key, "a whole number or a list of them");
  return all;
}

std::int64_t Section::to_whole(const std::string& key, const std::string& value, std::int64_t low,
                               std::int64_t high) const {
  std::int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || rest != end || number < low || number > high)
    fail_at(key, high == no_limit ? fmt::format("whole numbers of at least {}", low)
                                  : fmt::format("whole numbers from {} to {}", low, high));
  return number;
}

std::string Section::one_of(const std::string& key, const std::string& value,
                            const std::vector<std::string>& known) const {
  if (std::find(known.begin(), known.end(), value) == known.end())
    fail_at(key, fmt::format("{}", fmt::join(known, ", ")));
  return value;
}

std::string Section::typed(const std::string& key, const toml::node& node) const {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto whole = node.value_exact<std::int64_t>()) return fmt::format("{}", *whole);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto truth = node.value_exact<bool>()) return *truth ? "true" : "false";
  fail_at(key, "a text, a number, or a list of them");
}

}  // namespace understudy::reproduce
