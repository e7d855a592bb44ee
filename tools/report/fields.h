// The members of a JSON object that somebody else wrote.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::report {

// An object whose members have to be what they should be. Every Error begins with `place`, names the
// key, and says what was expected and what was found.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string place);

  const std::string& place() const { return place_; }
  std::string text(const char* key) const;
  std::string text_or(const char* key, const std::string& fallback) const;
  std::int64_t whole(const char* key, std::int64_t low, std::int64_t high) const;
  double fraction(const char* key) const;  // 0..1

  // Null and absent are the same: empty.
  std::optional<double> number(const char* key) const;
  std::optional<std::int64_t> optional_whole(const char* key, std::int64_t low,
                                             std::int64_t high) const;
  std::optional<double> optional_fraction(const char* key) const;
  // The members of an array of objects, each with its place; none when it is absent.
  std::vector<Fields> objects(const char* key) const;
  std::vector<std::string> texts(const char* key) const;
  std::vector<double> numbers(const char* key) const;
  // An array of arrays of numbers, or one such row alone.
  std::vector<std::vector<double>> number_rows(const char* key) const;
  bool has(const char* key) const { return find(key) != nullptr; }
  Fields object(const char* key) const;

  const nlohmann::json& members() const { return *object_; }

 private:
  const nlohmann::json* find(const char* key) const;  // null when absent or null
  std::vector<double> numbers_in(const nlohmann::json& array, const char* key) const;
  [[noreturn]] void refuse(const char* key, std::string_view expected) const;

  const nlohmann::json* object_;  // never null; outlives this
  std::string place_;             // "results.jsonl:3", or with "curve[4]" behind it
};

}  // namespace understudy::report
