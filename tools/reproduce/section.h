// A section of a TOML file, read key by key; what is wrong is said with file, line and key.
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace understudy::reproduce {

class Section {
 public:
  static constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

  // Borrows the table. `name` is what errors call it.
  Section(std::string file, std::string name, const toml::table& table);

  bool has(const std::string& key) const { return table_.contains(key); }
  const toml::table& table() const { return table_; }

  // UsageError for keys that are none of these: they are mistakes of spelling.
  void only(const std::vector<std::string>& known) const;

  // `otherwise` where the key is not there. UsageError for another type, and a number below `low`.
  std::string text(const std::string& key, const std::string& otherwise = "") const;
  std::int64_t whole(const std::string& key, std::int64_t low, std::int64_t otherwise) const;
  // A value or a list of them, as they would be typed behind a flag; {} where the key is not there.
  std::vector<std::string> values(const std::string& key) const;
  // The same, of texts alone.
  std::vector<std::string> texts(const std::string& key) const;
  // The same as whole numbers; UsageError where there are none.
  std::vector<std::int64_t> wholes(const std::string& key, std::int64_t low,
                                   std::int64_t high = no_limit) const;

  // One of the key's values, checked: UsageError for anything else.
  std::int64_t to_whole(const std::string& key, const std::string& value, std::int64_t low,
                        std::int64_t high = no_limit) const;
  std::string one_of(const std::string& key, const std::string& value,
                     const std::vector<std::string>& known) const;

  // UsageError "FILE:12: grid: k = 0: expected ..."
  [[noreturn]] void fail_at(const std::string& key, const std::string& expected) const;
  // UsageError "FILE:12: grid: text"
  [[noreturn]] void fail_at(const toml::node& node, const std::string& text) const;

 private:
  std::string typed(const std::string& key, const toml::node& node) const;

  std::string file_, name_;
  const toml::table& table_;
};

}  // namespace understudy::reproduce
