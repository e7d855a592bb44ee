#include "tools/report/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

using nlohmann::json;

// Short, and without descending into what may be nested deeply.
std::string described(const json& value) {
  if (value.is_string())
    return fmt::format("\"{}\"", printable(value.get_ref<const std::string&>().substr(0, 40)));
  if (value.is_number()) return value.dump();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return value.is_array() ? "an array" : "an object";
}

}  // namespace

Fields::Fields(const json& object, std::string place) : object_(&object), place_(std::move(place)) {
  check(object.is_object(), "{}: expected an object, found {}", place_,
        object.is_null() ? "null" : described(object));
}

const json* Fields::find(const char* key) const {
  const auto at = object_->find(key);
  return at == object_->end() || at->is_null() ? nullptr : &*at;
}

void Fields::refuse(const char* key, std::string_view expected) const {
  const json* found = find(key);
  fail("{}: \"{}\": expected {}, found {}", place_, key, expected,
       found ? described(*found) : "nothing");
}

std::string Fields::text(const char* key) const {
  const json* value = find(key);
  if (!value || !value->is_string() || value->get_ref<const std::string&>().empty())
    refuse(key, "text");
  return value->get<std::string>();
}

std::string Fields::text_or(const char* key, const std::string& fallback) const {
  const json* value = find(key);
  if (!value) return fallback;
  if (!value->is_string()) refuse(key, "text");
  return value->get<std::string>();
}

std::optional<double> Fields::number(const char* key) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_number()) refuse(key, "a number");
  return value->get<double>();
}

std::optional<std::int64_t> Fields::optional_whole(const char* key, std::int64_t low,
                                                   std::int64_t high) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  if (!(found >= static_cast<double>(low) && found <= static_cast<double>(high) &&
        found == std::floor(found)))
    refuse(key, fmt::format("a whole number from {} to {}", low, high));
  return static_cast<std::int64_t>(found);
}

std::int64_t Fields::whole(const char* key, std::int64_t low, std::int64_t high) const {
  const auto value = optional_whole(key, low, high);
  if (!value) refuse(key, fmt::format("a whole number from {} to {}", low, high));
  return *value;
}

std::optional<double> Fields::optional_fraction(const char* key) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  if (!(found >= 0 && found <= 1)) refuse(key, "a fraction from 0 to 1");
  return found;
}

double Fields::fraction(const char* key) const {
  const auto value = optional_fraction(key);
  if (!value) refuse(key, "a fraction from 0 to 1");
  return *value;
}

std::vector<Fields> Fields::objects(const char* key) const {
  std::vector<Fields> all;
  const json* value = find(key);
  if (!value) return all;
  if (!value->is_array()) refuse(key, "an array of objects");
  for (std::size_t i = 0; i < value->size(); ++i)
    all.emplace_back((*value)[i], fmt::format("{}: {}[{}]", place_, key, i));
  return all;
}

std::vector<std::string> Fields::texts(const char* key) const {
  std::vector<std::string> all;
  const json* value = find(key);
  if (!value) return all;
  if (!value->is_array()) refuse(key, "an array of texts");
  for (const json& member : *value) {
    if (!member.is_string()) refuse(key, "an array of texts alone");
    all.push_back(member.get<std::string>());
  }
  return all;
}

std::vector<double> Fields::numbers(const char* key) const {
  const json* value = find(key);
  return value ? numbers_in(*value, key) : std::vector<double>();
}

std::vector<double> Fields::numbers_in(const json& array, const char* key) const {
  const auto is_number = [](const json& member) { return member.is_number(); };
  if (!array.is_array()) refuse(key, "an array of numbers");
  if (!std::all_of(array.begin(), array.end(), is_number)) refuse(key, "an array of numbers alone");
  return array.get<std::vector<double>>();
}

std::vector<std::vector<double>> Fields::number_rows(const char* key) const {
  std::vector<std::vector<double>> rows;
  const json* value = find(key);
  if (!value) return rows;
  if (value->is_array() && value->empty()) return rows;
  if (!value->is_array() || !value->front().is_array()) return {numbers_in(*value, key)};
  for (const json& row : *value) rows.push_back(numbers_in(row, key));
  return rows;
}

Fields Fields::object(const char* key) const {
  const json* value = find(key);
  if (!value || !value->is_object()) refuse(key, "an object");
  return {*value, fmt::format("{}: {}", place_, key)};
}

}  // namespace understudy::report
